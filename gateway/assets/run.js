// The page of a run: follows the log as it is written, loads lines when they are asked for, and never moves
// what is being read. Without it the page shows the same, one load at a time.
document.addEventListener("DOMContentLoaded", () => {
  const SHOWN = 5000; // lines in one step while it is followed
  const here = location.pathname;
  const id = (name) => document.getElementById(name);
  const [steps, facts, button, keys] = ["steps", "facts", "follow", "keys"].map(id);
  const on = (what, act) => document.addEventListener(what, act, { passive: true });
  const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
  const bodyOf = (step) => step.querySelector(":scope > .lines");
  const current = () => steps.lastElementChild;
  const all = (what) => document.querySelectorAll(what);
  const box = (of) => of.getBoundingClientRect();
  const shift = (top) => scrollBy({ top, behavior: "instant" });

  const parsed = (innerHTML) => Object.assign(document.createElement("template"), { innerHTML }).content;
  const get = async (address) => {
    const answer = await fetch(here + address);
    if (!answer.ok) throw new Error(answer.status);
    return answer.text();
  };
  const page = async (address) => new DOMParser().parseFromString(await get(address), "text/html");

  // Times that run.
  const tick = () => {
    for (const place of all("[data-since]")) {
      const s = Math.max(0, Math.floor((Date.now() - place.dataset.since) / 1000));
      const [m, h] = [Math.floor(s / 60), Math.floor(s / 3600)];
      place.textContent = h
        ? `${h} h ${String(m % 60).padStart(2, "0")} min`
        : (m ? `${m} min ` : "") + `${s % 60} s`;
    }
  };
  setInterval(tick, 1000);
  tick();

  // Following: only while the reader is at the end, or asked for it. It never goes up.
  let following = false;
  let [before, end] = [scrollY, 0];
  const bottom = () => box(current() ?? steps).bottom;
  const toEnd = () => {
    shift(Math.max(0, bottom() - innerHeight + 40));
    end = scrollY;
  };
  const follow = (yes) => {
    following = yes;
    button.setAttribute("aria-pressed", yes);
    if (yes) toEnd();
  };
  button?.addEventListener("click", () => follow(!following));
  // Whoever went up, out of sight of the end, reads. A page that became shorter moved by itself. Lines can
  // come before the browser tells of the scrolling.
  const heedReader = () => following && scrollY < end - 2 && bottom() > innerHeight && follow(false);
  on("scroll", () => {
    const down = scrollY > before;
    before = scrollY;
    heedReader();
    if (down) {
      if (live && !following && bottom() <= innerHeight) follow(true);
      return;
    }
    // Who scrolls up to the first line that is there wants the ones before.
    for (const link of all(".step[open] .earlier")) {
      const { top, bottom } = box(link);
      if (bottom > 0 && top < innerHeight) load(link);
    }
  });

  // A window of another size moves what is in it: that is no reader who went up.
  addEventListener("resize", () => following && toEnd());

  // Lines that are there already are not put there again. A group whose title is there goes on without.
  const fresh = (fragment) => {
    for (const line of fragment.querySelectorAll("[id]")) {
      if (!id(line.id)) continue;
      if (line.matches("summary")) line.parentNode.replaceWith(...line.parentNode.children);
      line.remove();
    }
    return fragment;
  };
  // Loads lines in place of the link to them. What is read stays where it is.
  const load = async (link) => {
    if (!link || link.dataset.busy) return;
    link.dataset.busy = 1;
    try {
      const lines = fresh(parsed(await get("/lines?" + link.dataset.lines)));
      const below = link.matches(".earlier") && link.nextElementSibling;
      const top = below && box(below).top;
      link.replaceWith(lines);
      if (below) shift(box(below).top - top);
    } catch {
      delete link.dataset.busy;
    }
  };
  const unfold = (step) => {
    if (!step.matches?.(".step[open][data-lazy]")) return;
    delete step.dataset.lazy;
    load(bodyOf(step).querySelector(".more"));
  };
  document.addEventListener("toggle", ({ target }) => unfold(target), true);
  // Also what was opened before this ran.
  all(".step").forEach(unfold);
  document.addEventListener("click", (event) => {
    // What the reader folds or opens is the reader's.
    const own = event.target.closest?.("summary")?.parentElement;
    if (own) own.dataset.own = 1;
    const link = event.target.closest?.("a");
    if (!link || event.ctrlKey || event.metaKey) return;
    if (link.dataset.lines) load(link);
    else if (link.matches(".line > a:first-child")) choose(Number(link.textContent), event.shiftKey);
    else return;
    event.preventDefault();
  });

  // Lines that are pointed at: #L10, #L10-L20.
  let first = 0;
  const mark = (from, to) => {
    for (const line of all(".line.on")) line.classList.remove("on");
    for (let n = from; n <= Math.min(to, from + SHOWN); n++) id("L" + n)?.classList.add("on");
  };
  const choose = (n, extend) => {
    if (!extend || !first) first = n;
    const [from, to] = [Math.min(first, n), Math.max(first, n)];
    // The address works where there is no script, too: the server shows lines from there on.
    const range = from === to ? "" : `-L${to}`;
    const [theme = ""] = /[?&]theme=\w+/.exec(location.search) ?? [];
    history.replaceState(null, "", `?line=${from}${theme.replace("?", "&")}#L${from}${range}`);
    mark(from, to);
  };
  const show = async () => {
    const [, from, to] = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash) ?? [];
    if (!from || !steps) return;
    first = Number(from);
    if (!id("L" + from)) {
      const now = (await page(`?line=${first}`)).querySelector(".step[open]");
      const old = now && id(now.id);
      if (!old) return;
      delete old.dataset.lazy;
      bodyOf(old).replaceWith(bodyOf(now));
    }
    const line = id("L" + from);
    for (let up = line; up; up = up.parentElement.closest("details")) up.open = true;
    line?.scrollIntoView({ block: "center", behavior: "instant" });
    mark(first, Number(to ?? from));
  };
  addEventListener("hashchange", show);
  show();

  // What the run is, when that changes.
  const isOver = () => "over" in facts.dataset;
  let awaited = document.querySelector("[data-awaited]");
  const news = async () => {
    const told = await get("/state");
    const same = told === facts.dataset.told && (steps || told.startsWith("waiting"));
    return same ? null : page("");
  };
  const poll = async (seconds) => {
    await wait(seconds);
    const now = document.hidden ? null : await news().catch(() => null);
    if (now) {
      if (!steps && now.getElementById("steps")) return location.reload();
      awaited = now.querySelector("[data-awaited]");
      const { dataset, childNodes } = now.getElementById("facts");
      Object.assign(facts.dataset, dataset);
      facts.replaceChildren(...childNodes);
      document.title = now.title;
      const icon = (of) => of.querySelector("link[rel=icon]");
      icon(document).href = icon(now).href;
      // How steps ended that nobody told us of.
      for (const step of isOver() ? now.querySelectorAll(".step") : []) {
        id(step.id)?.querySelector("summary").replaceWith(step.querySelector("summary"));
      }
      tick();
    }
    // A log that begins shall be here soon.
    if (!isOver() || live || awaited) poll(Math.min(seconds * 1.5, steps ? 15 : 3));
  };

  // The log as it is written.
  let live = null;
  let last = steps?.dataset.live;
  // What is printed belongs to it.
  let group = steps && current().querySelector("[data-going]");
  const unpartial = () => steps.querySelector(".partial")?.remove();
  const add = (html) => {
    heedReader();
    unpartial();
    const body = bodyOf(current());
    body.querySelector(".none")?.remove();
    const place = group?.isConnected ? group : body;
    place.append(fresh(parsed(html)));
    if (!following) return;
    thin(place);
    toEnd();
  };
  // A page that is followed for hours keeps the last lines; the rest is a link again.
  const thin = (place) => {
    const lines = [...place.children];
    if (lines.length < SHOWN + 500) return;
    const kept = lines.slice(-SHOWN);
    // A group keeps its title.
    for (const line of lines.slice(place === group, -SHOWN)) line.remove();
    const next = kept.map((one) => one.id || one.firstChild?.id).find(Boolean).slice(1);
    kept[0].before(parsed(`<a class="more earlier" href="?before=${next}" data-lines="before=${next}">▲ Earlier lines</a>`));
  };
  // Nothing is folded away under the reader's eyes.
  const fold = (place, loud) => {
    if (following && !place.dataset.own && !place.querySelector(loud)) place.open = false;
  };
  const told = {
    lines: add,
    gap: add,
    group(html) {
      group = null;
      add(html);
      group = [...all(".group")].pop();
    },
    endgroup() {
      if (group) fold(group, ".error");
      group = null;
    },
    partial(html) {
      add(html.replace(/ id="L\d+"/, ' data-partial'));
      steps.querySelector("[data-partial]")?.classList.add("partial");
    },
    step(html) {
      const step = parsed(html).firstElementChild;
      if (id(step.id)) return;
      heedReader();
      group = null;
      const old = current();
      steps.append(step);
      // A log that had no steps yet has none of its own to show.
      if (old.id === "step-log" && !old.querySelector(".line")) old.remove();
      else fold(old, ".error, .failed");
      if (following) toEnd();
    },
    changed(html) {
      const now = parsed(html).firstElementChild;
      const old = id(now.id);
      if (!old) return;
      for (const part of ["summary", ".report"]) old.querySelector(`:scope > ${part}`)?.remove();
      bodyOf(now).remove();
      old.prepend(...now.children);
    },
    end() {
      live.close();
      live = null;
      unpartial();
      follow(false);
      button.hidden = true;
      poll(1);
    },
  };
  const listen = () => {
    live = new EventSource(`${here}/live?from=${last}`);
    for (const name in told) {
      live.addEventListener(name, (event) => {
        last = event.lastEventId || last;
        told[name](event.data);
        tick();
      });
    }
    // Closed for good: no room, or the gateway is away. Later again.
    live.onerror = () => live?.readyState === EventSource.CLOSED && wait(10).then(listen);
  };
  if (last !== undefined) {
    button.hidden = false;
    listen();
    // Whoever asked for no place in it wants to see what happens now.
    if (!location.hash && !/[?&](from|line|before|step|summary|q)=/.test(location.search)) follow(true);
  }
  if (last !== undefined || !isOver() || awaited) poll(3);

  // Keys.
  const move = (by) => {
    const titles = [...all(".step > summary")];
    const at = titles.indexOf(document.activeElement);
    titles[at < 0 ? 0 : at + by]?.focus();
  };
  const acts = {
    j: () => move(1),
    k: () => move(-1),
    f: () => button && !button.hidden && follow(!following),
    "/": () => document.querySelector("[type=search]")?.focus(),
    "?": () => (keys.open ? keys.close() : keys.showModal()),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    if (!acts[event.key] || (keys.open && event.key !== "?")) return;
    event.preventDefault();
    acts[event.key]();
  });
});
