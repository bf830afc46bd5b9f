// A page about what is not over yet: fetched again while it is looked at, and only what changed is
// changed, so that nothing jumps, and what is selected or focused stays so.
document.addEventListener("DOMContentLoaded", () => {
  const main = document.querySelector("main[data-again]");
  if (!main) return;

  // Makes one element like another.
  const morph = (old, now) => {
    if (old.isEqualNode(now)) return;
    if (old.nodeName !== now.nodeName) return old.replaceWith(now.cloneNode(true));
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      // What the reader folded open stays open.
      if (!now.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of now.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const before = [...old.childNodes];
    const after = [...now.childNodes];
    after.forEach((child, place) => {
      if (place < before.length) morph(before[place], child);
      else old.append(child.cloneNode(true));
    });
    before.slice(after.length).forEach((child) => child.remove());
  };

  const again = async () => {
    const seconds = Number(main.dataset.again);
    if (!seconds) return;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href);
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          document.title = page.title;
          const icon = (of) => of.querySelector("link[rel=icon]");
          morph(icon(document), icon(page));
          morph(main, page.querySelector("main"));
        }
      } catch {
        // Away for a moment; the next turn shows.
      }
    }
    again();
  };
  again();
});
