"use strict";
// Headings become buttons that sort; without scripts the tables stand as they were written.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const head of table.querySelectorAll("th[data-place]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const number = (row) => row.cells[head.dataset.place].dataset.value;
      const words = (row) => row.cells[head.dataset.place].textContent;
      const order = (a, b) => {
        if (!head.classList.contains("number")) return sign * words(a).localeCompare(words(b));
        if (number(a) === undefined || number(b) === undefined) return (number(a) === undefined) - (number(b) === undefined);
        return sign * (number(a) - number(b));
      };
      body.append(...[...body.rows].sort(order));
    });
  }
}
