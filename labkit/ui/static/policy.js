// The view of the PolicyPanel (labkit/ui/panels/policy/panel.py). It shows the model's state and asks for actions, and keeps nothing.

function render({ model, el }) {
  const { root, body, prefix, stop } = frame(model, el);
  root.classList.add("labkit-policy");
  let controls = new Map(); // path -> control
  let shapes = []; // the shape of each group that is in view, as text
  let sent = 0; // how many texts this view has sent

  const text = editor(model, prefix, (value) => {
    sent += 1;
    act(model, "type", value, prefix, sent);
  });
  const flush = () => {
    text.flush();
    controls.forEach((each) => each.flush());
  };
  const button = (words, name, attributes = {}) =>
    h("button", { type: "button", "data-path": `button ${name}`, onclick: () => (flush(), act(model, name)), ...attributes }, words);

  const note = h("div", { class: "labkit-draft", role: "status" });
  const about = h("div", { class: "labkit-about" });
  const waits = h("p", { class: "labkit-wait", role: "status" });
  const groups = h("div", { class: "labkit-groups" });
  const findings = h("ul", { class: "labkit-findings", id: `${prefix}findings`, "aria-live": "polite" });
  const apply = button("Apply", "apply", { class: "labkit-main" });
  const undo = button("Undo", "undo");
  const reset = button("Reset to published", "reset");
  const said = h("p", { class: "labkit-said", role: "status" });
  const changes = h("p", { class: "labkit-changes", id: `${prefix}changes` });
  const diff = h("pre", { class: "labkit-lines", tabindex: 0, role: "region", "aria-labelledby": `${prefix}changes` });
  const envoyTitle = h("span", { id: `${prefix}envoy` });
  const envoy = h("pre", { class: "labkit-lines labkit-envoy", tabindex: 0, role: "region", "aria-labelledby": `${prefix}envoy` });
  body.append(
    note,
    h("div", { class: "labkit-columns" },
      h("div", { class: "labkit-left", "data-keep": "controls" }, about, waits, groups),
      h("div", { class: "labkit-right" },
        // above the text: however long it is and whatever is found in it, what Apply did is in view
        h("div", { class: "labkit-buttons" }, apply, undo, reset),
        said, changes,
        h("label", { class: "labkit-title", id: `${prefix}title`, for: `${prefix}yaml` }, "The policy as YAML"),
        text.node, text.help, findings, diff),
    ),
    h("details", { class: "labkit-got", "data-keep": "envoy" }, h("summary", {}, envoyTitle), envoy),
  );

  function focused() {
    const at = root.contains(document.activeElement) ? document.activeElement : null;
    return at && at.getAttribute("data-path");
  }

  function keepFocus(change) {
    const path = focused();
    change();
    if (path && focused() !== path) {
      const again = [...root.querySelectorAll("[data-path]")].find((each) => each.getAttribute("data-path") === path);
      if (again) again.focus();
    }
  }

  function choice(label, path, options, value, asked) {
    const id = `${prefix}${path}`;
    return [
      h("label", { for: id }, label),
      h("select", { id, "data-path": path, onchange: (event) => asked(event.target.value) },
        options.map(([key, words]) => h("option", { value: key, selected: String(key) === String(value) }, words))),
    ];
  }

  function showAbout(state) {
    const parts = [];
    if (state.documents.length > 1)
      parts.push(...choice("Object", "document", state.documents.map((words, at) => [at, words]), state.document,
        (value) => act(model, "choose_document", Number(value))));
    if (state.subsets.length)
      parts.push(...choice("Policy for", "subset", [["", "the whole service"], ...state.subsets.map((name) => [name, `subset ${name}`])],
        state.subset, (value) => act(model, "choose_subset", value)));
    const shape = JSON.stringify([state.documents, state.document, state.subsets, state.subset]);
    if (about.getAttribute("data-shape") === shape) return;
    about.setAttribute("data-shape", shape);
    keepFocus(() => about.replaceChildren(...parts));
  }

  function showGroups(state) {
    const next = state.groups.map((group) => JSON.stringify([state.document, state.subset, { ...group, open: null, note: null }]));
    keepFocus(() => {
      state.groups.forEach((group, at) => {
        if (next[at] === shapes[at] && groups.children[at]) return;
        const old = groups.children[at];
        const inside = group.fields.map((field) => {
          const made = control(field, prefix, (path, value) => act(model, "turn", path, value), (path) => act(model, "remove", path));
          controls.set(field.path, made);
          return made.node;
        });
        const node = h("details", { class: "labkit-group", "data-keep": `${state.subset} ${group.id}`, open: group.open },
          h("summary", { "data-path": `group ${group.id}` }, group.title),
          group.help && h("p", { class: "labkit-help" }, group.help),
          h("p", { class: "labkit-help labkit-group-note" }),
          h("div", { class: "labkit-note labkit-of-group" }),
          inside,
          group.add && h("button", { type: "button", "data-path": `add ${group.id}`, onclick: () => act(model, "add", group.id) }, group.add));
        if (old) old.replaceWith(node);
        else groups.append(node);
      });
      while (groups.children.length > state.groups.length) groups.lastChild.remove();
      if (next.join() !== shapes.join()) keep.restore(groups);
    });
    shapes = next;
    const paths = new Set(state.groups.flatMap((group) => group.fields.map((field) => field.path)));
    for (const path of controls.keys()) if (!paths.has(path)) controls.delete(path);
    state.groups.forEach((group, at) => {
      groups.children[at].querySelector(".labkit-group-note").textContent = group.note;
      fill(groups.children[at].querySelector(".labkit-of-group"), noteLines(state.notes[`group ${group.id}`] || []));
    });
    waits.textContent = state.unreadable
      ? "The controls wait until the YAML can be read."
      : state.groups.length ? "" : "There are controls for DestinationRules and for routes with weights. For others, change the YAML.";
    groups.inert = Boolean(state.unreadable);
    groups.classList.toggle("labkit-waits", Boolean(state.unreadable));
  }

  function show() {
    const state = model.get("state");
    if (!state || !state.groups) return;
    const [view, number] = state.heard;
    // what was typed here after this state was made comes back in a moment: until then the text is the learner's
    const behind = text.waiting() || (view === prefix && number < sent);
    showAbout(state);
    showGroups(state);
    controls.forEach((each, path) => each.update(state.values[path] || "", state.notes[path] || []));
    if (!behind) text.update(state.text, state.findings);
    fill(findings, state.findings.map((each) =>
      h("li", { class: `labkit-${each.level}-note` },
        h("button", { type: "button", class: "labkit-jump", "data-line": each.line }, `Line ${each.line}`),
        ` ${sign(each.level)} ${each.path ? `${each.path}: ` : ""}${each.what}; ${each.fix}`)));
    undo.disabled = !state.can_undo;
    reset.disabled = state.is_published;
    const count = state.diff.filter(([mark]) => mark !== " " && mark !== "…").length;
    changes.textContent = state.is_applied
      ? "Nothing to apply: this is what is in force."
      : state.unreadable
        ? "Not YAML yet: Apply would be refused."
        : state.is_new
          ? "Not applied yet. Apply would add it."
          : `Apply would change ${count} ${count === 1 ? "line" : "lines"} (below: + new, - old).`;
    lines(diff, state.is_new ? [] : state.diff);
    diff.hidden = state.is_new || !state.diff.length;
  }
  findings.addEventListener("click", (event) => {
    const line = event.target.closest("[data-line]");
    if (line) text.goTo(Number(line.getAttribute("data-line")));
  });

  const stops = [
    follow(model, "state", show),
    follow(model, "busy", () => (apply.disabled = Boolean(model.get("busy") && model.get("busy") !== "Looking"))),
    follow(model, "said", () => (said.textContent = model.get("said"))),
    follow(model, "note", () => {
      const words = model.get("note");
      note.replaceChildren(...(words ? [h("span", {}, words), h("button", { type: "button", onclick: () => act(model, "reset") }, "Use the published text")] : []));
    }),
    follow(model, "envoy", () => {
      const { proxy, about: words, rows } = model.get("envoy");
      if (!rows) return;
      envoyTitle.textContent = `What Envoy got (${proxy}): ${words}`;
      lines(envoy, rows);
      const first = envoy.querySelector(".labkit-plus, .labkit-minus");
      if (first) envoy.scrollTop = Math.max(0, first.offsetTop - envoy.offsetTop - 30);
    }),
  ];

  keep.restore(root);

  // somebody else may have applied something since
  root.addEventListener("focusin", (event) => {
    if (!root.contains(event.relatedTarget)) act(model, "look");
  });
  return () => {
    flush();
    text.stop();
    stops.forEach((each) => each());
    stop();
  };
}

export default { render };
