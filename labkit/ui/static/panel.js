// What every view has: it is put in front of the panel's own file, which ends with `export default {render}`.
//
//   h("button", {type: "button", onclick: f}, "Apply")     an element with attributes, listeners and children
//   act(model, "apply", …)                                   asks the model for an action, as Python would
//   frame(model, el)                                         heading, error with its way back, what is busy; returns the body

function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "rect", "circle", "text", "title", "desc", "polyline"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  // JupyterLab takes single keys as commands where nothing can be typed ("x" cuts the cell). It asks the element that
  // has the focus whether it may, and nothing above it.
  const untyped = ["button", "select", "summary"].includes(tag) || ["range", "radio", "checkbox"].includes(attributes.type);
  if (untyped || "tabindex" in attributes)
    node.setAttribute("data-lm-suppress-shortcuts", "true");
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function act(model, name, ...args) {
  model.send({ do: name, args });
}

let views = 0;
// ids must differ between two views of one model
function newPrefix() {
  views += 1;
  return `labkit-${Math.random().toString(36).slice(2, 8)}-${views}-`;
}

// calls f when `wait` ms have passed without another call; .now() calls it at once where one is due
function debounced(f, wait) {
  let timer = null;
  let due = [];
  const run = () => {
    clearTimeout(timer);
    timer = null;
    f(...due);
  };
  const call = (...args) => {
    due = args;
    clearTimeout(timer);
    timer = setTimeout(run, wait);
  };
  call.now = () => timer !== null && run();
  call.waiting = () => timer !== null;
  return call;
}

// Follows traits of the model: f is called now and at each change. Returns how to stop.
function follow(model, names, f) {
  const wanted = [names].flat().map((name) => `change:${name}`);
  wanted.forEach((name) => model.on(name, f));
  f();
  return () => wanted.forEach((name) => model.off(name, f));
}

// What is open and how far it is scrolled outlives a view: JupyterLab makes a new one when the cell's output is renewed.
// An element takes part when it has data-keep, a name of its own; call keep.restore(root) when there are new ones.
const kept = new Map();
const keep = {
  watch(root) {
    root.addEventListener("toggle", ({ target }) => target.dataset.keep && kept.set(`open ${target.dataset.keep}`, target.open), true);
    root.addEventListener("scroll", ({ target }) => target.dataset?.keep && kept.set(`top ${target.dataset.keep}`, target.scrollTop), true);
  },
  restore(root) {
    for (const node of root.querySelectorAll("[data-keep]")) {
      const name = node.dataset.keep;
      if (node.tagName === "DETAILS" && kept.has(`open ${name}`)) node.open = kept.get(`open ${name}`);
      if (kept.has(`top ${name}`)) requestAnimationFrame(() => (node.scrollTop = kept.get(`top ${name}`)));
    }
  },
};

function frame(model, el) {
  const prefix = newPrefix();
  const heading = h("h3", { class: "labkit-heading", id: `${prefix}heading` });
  const lost = h("div", { class: "labkit-lost", role: "alert" });
  const error = h("div", { class: "labkit-error", role: "alert" });
  const busy = h("span", { class: "labkit-busy", role: "status" });
  const body = h("div", { class: "labkit-body" });
  const root = h(
    "section",
    { class: "labkit-panel", "aria-labelledby": `${prefix}heading` },
    h("div", { class: "labkit-top" }, heading, busy),
    lost,
    error,
    body,
  );
  el.append(root);
  keep.watch(root);

  const stops = [
    follow(model, "heading", () => (heading.textContent = model.get("heading"))),
    follow(model, "busy", () => {
      busy.textContent = model.get("busy") ? `${model.get("busy")} …` : "";
      root.setAttribute("aria-busy", model.get("busy") ? "true" : "false");
    }),
    follow(model, "error", () => {
      const { message, seen, try_next, back } = model.get("error");
      error.replaceChildren();
      if (!message) return;
      error.append(h("p", { class: "labkit-message" }, message));
      if (seen) error.append(h("p", { class: "labkit-seen" }, "Seen: ", seen));
      if (try_next) error.append(h("p", {}, "Next: ", try_next));
      if (back && back.do)
        error.append(h("button", { type: "button", class: "labkit-back", onclick: () => act(model, back.do) }, back.label));
    }),
  ];

  // The model in the kernel is gone: with its kernel, which ends without a word, or closed alone, which it tells.
  // (anywidget shows us no comm_live; it becomes true once, before there is a view, so a change is the end.)
  const gone = (words) => {
    if (root.classList.contains("labkit-is-lost")) return; // the first reason is the right one
    root.classList.add("labkit-is-lost");
    lost.textContent = words;
    body.inert = true;
  };
  const ended = () => {
    const kept = model.get("drafts_kept") ? ": what you typed is kept" : "";
    gone(`The kernel was restarted or stopped, and the mesh ended with it. Run the cells above and this cell again${kept}.`);
  };
  const closed = () => gone("This panel was closed. Run its cell again for a new one.");
  model.on("comm_live_update", ended);
  for (const name of ["comm:close", "destroy"]) model.on(name, closed);

  const rest = debounced(() => {
    if (!root.contains(document.activeElement) && root.isConnected && !root.classList.contains("labkit-is-lost"))
      act(model, "rest");
  }, 1000);
  let touched = false;
  root.addEventListener("input", () => (touched = true));
  root.addEventListener("click", () => (touched = true));
  root.addEventListener("focusout", () => touched && rest());
  act(model, "seen");

  const stop = () => {
    stops.forEach((each) => each());
    model.off("comm_live_update", ended);
    for (const name of ["comm:close", "destroy"]) model.off(name, closed);
  };
  return { root, body, prefix, stop };
}
