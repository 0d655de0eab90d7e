// The parts of the PolicyPanel's view: one control, lines with marks.

// One control: a label in plain words, Istio's name, one line of help, and what is found wrong with it.
function control(field, prefix, turned, removed) {
  const id = `${prefix}f-${field.path}`;
  const describedby = `${id}-help ${id}-note`;
  const common = { id, "aria-describedby": describedby, "data-path": field.path };
  const now = (value) => turned(field.path, value);
  const soon = debounced(now, 150);
  let input;
  let slider = null;
  if (field.kind === "choice") {
    input = h("select", { ...common, onchange: () => now(input.value) },
      field.choices.map(([value, words]) => h("option", { value }, words)));
  } else {
    const number = field.kind === "number" || field.kind === "percent";
    input = h("input", {
      ...common,
      type: "text",
      inputmode: number ? "numeric" : null,
      class: number ? "labkit-number" : "labkit-words",
      placeholder: field.default,
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => soon(input.value),
      onchange: () => soon.now(),
    });
    // arrow keys count up and down, as in an input for numbers; that one would refuse to hold a wrong value
    if (number) input.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      input.value = String(Math.max(0, (parseInt(input.value || field.default, 10) || 0) + by));
      soon(input.value);
    });
  }
  if (field.kind === "percent") {
    slider = h("input", {
      type: "range", min: 0, max: 100, step: 1, class: "labkit-slider", "data-path": `${field.path} slider`,
      "aria-label": `${field.label}, slider`,
      "aria-describedby": describedby,
      oninput: () => {
        input.value = slider.value;
        soon(slider.value);
      },
      onchange: () => soon.now(),
    });
  }
  const note = h("div", { class: "labkit-note", id: `${id}-note` });
  const node = h("div", { class: "labkit-field" },
    h("label", { for: id }, field.label, " ", field.name && h("code", {}, field.name)),
    h("div", { class: "labkit-input" }, slider, input, field.unit && h("span", { class: "labkit-unit" }, field.unit),
      field.remove && h("button", { type: "button", "aria-label": `Remove ${field.label.split(":")[0]}`,
        "data-path": `${field.remove} remove`, onclick: () => removed(field.remove) }, "Remove")),
    note,
    h("p", { class: "labkit-help", id: `${id}-help` }, field.help),
  );
  const update = (value, notes) => {
    // what is being typed is not taken away: the model has it in a moment
    if (!soon.waiting()) {
      if (input.value.trim() !== value) input.value = value;
      if (slider) slider.value = [value, field.default, "0"].map((each) => parseInt(each, 10)).find((each) => !Number.isNaN(each));
    }
    const bad = notes.some(([level]) => level === "error");
    input.setAttribute("aria-invalid", bad ? "true" : "false");
    if (fill(note, noteLines(notes)) && notes.length && node.contains(document.activeElement))
      node.scrollIntoView({ block: "nearest" });
  };
  return { node, update, flush: soon.now };
}

function noteLines(notes) {
  return notes.map(([level, words]) => h("p", { class: `labkit-${level}-note` }, `${sign(level)} ${words}`));
}

function sign(level) {
  return { error: "✖ Error:", warning: "⚠ Warning:" }[level] || "ℹ Note:";
}

// new content only where it differs, so that a screen reader does not read it again and nothing jumps
function fill(node, children) {
  const before = node.innerHTML;
  const next = h("div", {}, children);
  if (next.innerHTML === before) return false;
  node.replaceChildren(...next.childNodes);
  return true;
}

// Lines with a mark in front of each; colour says the same again.
function lines(node, rows) {
  const kind = { "+": "labkit-plus", "-": "labkit-minus", "…": "labkit-gap" };
  node.replaceChildren(
    ...rows.map(([mark, line]) => h("span", { class: `labkit-line ${kind[mark] || ""}` }, `${mark} ${line}\n`)),
  );
}
