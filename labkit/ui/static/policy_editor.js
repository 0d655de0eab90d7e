// Where the YAML is typed: CodeMirror, which the model sends once a page; until it is there, and where it can't be loaded,
// a textarea. The rest of the view knows no difference.

// The bundle of tools/editor, once for all panels of the page; `told` is called when it is there.
const EDITOR = Symbol.for("labkit.editor");
function withEditor(model, told, failed) {
  let here = true;
  const take = (loading) => loading.then((found) => here && told(found), (error) => here && failed(error));
  if (globalThis[EDITOR]) {
    take(globalThis[EDITOR]);
    return () => (here = false);
  }
  const heard = ({ editor: source, index }) => {
    if (!source) return;
    if (!globalThis[EDITOR]) {
      // as anywidget loads this file: nothing is asked of a server, which may not be there
      const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      globalThis[EDITOR] = import(address).then(({ create }) => ({ create, index })).finally(() => URL.revokeObjectURL(address));
      globalThis[EDITOR].catch(() => delete globalThis[EDITOR]);
    }
    take(globalThis[EDITOR]);
  };
  model.on("msg:custom", heard);
  act(model, "send_editor");
  return () => {
    here = false;
    model.off("msg:custom", heard);
  };
}

// `typed` is called with what was typed, when there is a pause. `text` below is the one in view: plain, or CodeMirror.
function editor(model, prefix, typed) {
  const soon = debounced(() => typed(text.text()), 150);
  const help = h("p", { class: "labkit-help", id: `${prefix}keys` });
  const node = h("div", { class: "labkit-editor" });
  let text = plain(prefix, soon);
  let shown = ["", []];
  node.append(...text.nodes);
  // for whoever automates the page: of a long text CodeMirror has only what is in view in the page
  Object.assign(node, { text: () => text.text(), select: (...range) => text.select(...range) });

  const stop = withEditor(model, ({ create, index }) => {
    const [before, [start, end], focused] = [text.text(), text.selection(), node.contains(document.activeElement)];
    node.replaceChildren();
    text = create(node, {
      text: before,
      index,
      typed: soon,
      left: () => soon.now(),
      attributes: {
        id: `${prefix}yaml`, "aria-labelledby": `${prefix}title`, "aria-describedby": `${prefix}keys ${prefix}findings`, "data-path": "yaml",
        spellcheck: "false", autocorrect: "off", autocapitalize: "off",
      },
    });
    text.select(start, end);
    if (focused) text.focus();
    text.update(before, shown[1]); // what was typed meanwhile stays
    help.textContent = "Ctrl+Space: what may stand here. F8: next finding. Tab leaves.";
  }, (error) => {
    help.textContent = `Plain text, without completion: the editor could not be loaded (${error.message}).`;
  });

  return {
    node,
    help,
    update: (value, findings) => {
      shown = [value, findings];
      text.update(value, findings);
    },
    goTo: (line) => text.goTo(line),
    waiting: soon.waiting,
    flush: soon.now,
    stop: () => {
      stop();
      text.destroy();
    },
  };
}

// A textarea with numbers of lines; lines with a finding are marked in the margin.
function plain(prefix, soon) {
  const area = h("textarea", {
    id: `${prefix}yaml`, class: "labkit-yaml", wrap: "off", spellcheck: "false", autocomplete: "off",
    autocapitalize: "off", "aria-describedby": `${prefix}keys ${prefix}findings`, rows: 14, "data-path": "yaml",
  });
  const margin = h("pre", { class: "labkit-margin", "aria-hidden": "true" });
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
  return {
    nodes: [margin, area],
    update,
    goTo,
    text: () => area.value,
    select: (start, end = start) => area.setSelectionRange(start, end),
    selection: () => [area.selectionStart, area.selectionEnd],
    destroy: () => {},
  };
}
