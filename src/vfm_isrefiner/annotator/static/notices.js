// What the page says: short notices that leave by themselves, the banner of a lost server, and the words for a screen reader.
const SHOWN_MS = 6000;
const UNDO_MS = 12_000;

export function createNotices(store) {
  const list = document.getElementById("notices");
  const voice = document.getElementById("voice");
  let offered = null; // the notice whose button takes something back

  // The same words twice are read twice.
  function speak(text) {
    voice.textContent = voice.textContent === text ? `${text}\u00a0` : text;
  }

  function add(text, kind, shownMs) {
    const item = document.createElement("div");
    item.className = `notice ${kind}`;
    item.append(Object.assign(document.createElement("span"), { textContent: text }));
    const leave = () => {
      item.remove();
      if (offered?.item === item) offered = null;
      store.set({ canTakeBack: offered !== null });
    };
    setTimeout(leave, shownMs);
    for (const same of list.children) if (same.firstChild.textContent === text) same.remove();
    list.append(item);
    while (list.children.length > 3) list.firstChild.remove();
    return { item, leave };
  }

  function show(text) {
    speak(text);
    return add(text, "told", SHOWN_MS).leave;
  }

  function failed(error) {
    if (!(error instanceof Error && "status" in error)) console.error(error);
    else if (error.status === 0) return; // the banner says it
    add(error.message, "bad", SHOWN_MS);
    speak(error.message);
  }

  // A notice with a button; what the button does.
  function offer(text, word, act) {
    const notice = add(text, "told", UNDO_MS);
    const button = Object.assign(document.createElement("button"), { textContent: word, type: "button" });
    const run = () => {
      notice.leave();
      return act();
    };
    button.addEventListener("click", run);
    notice.item.append(button);
    return { item: notice.item, run };
  }

  function undoable(text, undo) {
    offered = offer(text, "Undo", undo);
    store.set({ canTakeBack: true });
    speak(`${text} Control Z brings it back.`);
  }

  // Said where the hands are, in the bar of the running object.
  function done(text) {
    store.set({ said: text });
    speak(text);
  }

  return { speak, show, failed, offer, undoable, done, takeBack: () => offered?.run() };
}

// The banner, and the way back: `retry` is called until the server answers.
export function watchServer(store, retry) {
  const banner = document.getElementById("banner");
  const button = banner.querySelector("button");
  const words = {
    false: "The server does not answer. What you accepted is safe; trying again …",
    denied: "The server wants a token. Open the address that it printed when it was started.",
  };
  let timer = null;

  async function again() {
    clearTimeout(timer);
    await retry().catch(() => {});
    if (store.get().online !== true) timer = setTimeout(again, 2000);
  }

  store.on(["online"], ({ online }) => {
    banner.hidden = online === true;
    banner.querySelector("span").textContent = words[online] ?? "";
    clearTimeout(timer);
    if (online !== true) timer = setTimeout(again, 2000);
  });
  button.addEventListener("click", again);
}
