// Runs before the first paint, so that a chosen theme does not flash in the other one.
(() => {
  try {
    const theme = JSON.parse(localStorage.getItem("isrefiner.theme"));
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // no storage: the system's theme
  }
})();
