// The parts of the PolicyPanel's view: one control, the editor with its line numbers, lines with marks.

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

// A textarea with numbers of lines; lines with a finding are marked in the margin.
function editor(prefix, typed) {
  const area = h("textarea", {
    id: `${prefix}yaml`, class: "labkit-yaml", wrap: "off", spellcheck: "false", autocomplete: "off",
    autocapitalize: "off", "aria-describedby": `${prefix}findings`, rows: 14, "data-path": "yaml",
  });
  const margin = h("pre", { class: "labkit-margin", "aria-hidden": "true" });
  const soon = debounced(() => typed(area.value), 150);
  area.addEventListener("input", () => {
    number(new Map());
    soon();
  });
  area.addEventListener("change", () => soon.now());
  area.addEventListener("scroll", () => (margin.scrollTop = area.scrollTop));
  const number = (marks) => {
    const count = area.value.split("\n").length;
    fill(margin, Array.from({ length: count }, (_, at) => {
      const level = marks.get(at + 1);
      return h("span", { class: level ? `labkit-${level}-line` : null }, `${level ? { error: "✖", warning: "⚠" }[level] || "ℹ" : " "}${at + 1}\n`);
    }));
    margin.scrollTop = area.scrollTop;
  };
  const update = (text, findings) => {
    if (area.value !== text) {
      const [start, end, top] = [area.selectionStart, area.selectionEnd, area.scrollTop];
      area.value = text;
      if (area === document.activeElement) area.setSelectionRange(Math.min(start, text.length), Math.min(end, text.length));
      area.scrollTop = top;
    }
    const marks = new Map();
    for (const { line, level } of findings) if (!marks.has(line)) marks.set(line, level);
    number(marks);
  };
  const goTo = (line) => {
    const before = area.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const end = area.value.indexOf("\n", before);
    area.focus();
    area.setSelectionRange(before, end < 0 ? area.value.length : end);
    const height = area.scrollHeight / Math.max(1, area.value.split("\n").length);
    area.scrollTop = Math.max(0, (line - 4) * height);
  };
  return { area, node: h("div", { class: "labkit-editor" }, margin, area), update, goTo, waiting: soon.waiting, flush: soon.now };
}
