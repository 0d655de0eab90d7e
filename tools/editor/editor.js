// The YAML editor of the PolicyPanel. `create` puts one into an element; the panel's view tells it what is in the text.

import { acceptCompletion, autocompletion, completionKeymap, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, nextDiagnostic, setDiagnostics } from "@codemirror/lint";
import { Annotation, EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers, tooltips } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { completions } from "./completion.js";
import { theme } from "./theme.js";

const fromModel = Annotation.define();

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], class: "labkit-y-key" },
  { tag: [tags.string, tags.content, tags.attributeValue], class: "labkit-y-text" },
  { tag: [tags.comment, tags.lineComment], class: "labkit-y-comment" },
  { tag: [tags.meta, tags.keyword, tags.labelName, tags.typeName], class: "labkit-y-meta" },
  { tag: [tags.separator, tags.punctuation, tags.squareBracket, tags.brace], class: "labkit-y-sign" },
]);

// where a finding's field is on its line; the line's text where the field isn't there
function range(doc, finding) {
  const line = doc.line(Math.max(1, Math.min(finding.line || 1, doc.lines)));
  const name = (finding.path || "").replace(/\[[^\]]*\]$/, "").split(".").pop();
  const text = line.text.replace(/\s+#.*$/, "").trimEnd();
  const key = name ? text.search(new RegExp(`(^|[\\s{,"'-])${name.replace(/\W/g, "\\$&")}["']?\\s*:`)) : -1;
  const start = key < 0 ? text.search(/\S/) : key + text.slice(key).search(/[\w"]/);
  const from = line.from + Math.max(0, start);
  return { from, to: Math.max(from, line.from + text.length) };
}

export function create(parent, { text, attributes, index, typed, left }) {
  let known = ""; // the findings that are shown, as text
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        highlightActiveLineGutter(),
        highlightActiveLine(),
        lintGutter(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        indentUnit.of("  "),
        EditorState.tabSize.of(2),
        yaml(),
        syntaxHighlighting(colours),
        autocompletion({ override: [completions(index)], icons: false, interactionDelay: 0 }),
        // a cell's output is cut at its edges: what hangs over the text belongs to the page
        tooltips({ parent: document.body }),
        EditorView.contentAttributes.of(attributes),
        // Tab accepts what is offered; where nothing is, it leaves the editor, as in any form
        keymap.of([
          { key: "Tab", run: acceptCompletion },
          { key: "F8", run: nextDiagnostic },
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          const own = update.transactions.filter((each) => each.docChanged && !each.annotation(fromModel));
          if (own.length) typed(view.state.doc.toString());
          if (update.focusChanged && !view.hasFocus) left();
          // a field was taken from the list: its values are what comes next
          if (own.some((each) => each.isUserEvent("input.complete"))) startCompletion(view);
        }),
        theme,
      ],
    }),
  });

  // only what differs is replaced, so that the cursor stays with the words around it
  function take(next) {
    const now = view.state.doc.toString();
    if (now === next) return;
    let start = 0;
    while (start < now.length && start < next.length && now[start] === next[start]) start += 1;
    let end = 0;
    while (end < Math.min(now.length, next.length) - start && now.at(-1 - end) === next.at(-1 - end)) end += 1;
    view.dispatch({
      changes: { from: start, to: now.length - end, insert: next.slice(start, next.length - end) },
      annotations: fromModel.of(true),
    });
  }

  function update(next, findings) {
    take(next);
    const told = JSON.stringify([next, findings.map(({ level, line, path, what }) => [level, line, path, what])]);
    if (told === known) return;
    known = told;
    view.dispatch(setDiagnostics(view.state, findings.map((each) => ({
      ...range(view.state.doc, each),
      severity: ["error", "warning"].includes(each.level) ? each.level : "info",
      message: `${each.what}; ${each.fix}`,
    }))));
  }

  function goTo(number) {
    const line = view.state.doc.line(Math.max(1, Math.min(number, view.state.doc.lines)));
    view.dispatch({
      selection: { anchor: line.from, head: line.to },
      effects: EditorView.scrollIntoView(line.from, { y: "center" }),
    });
    view.focus();
  }

  return {
    update,
    goTo,
    text: () => view.state.doc.toString(),
    select: (anchor, head = anchor) => view.dispatch({ selection: { anchor, head }, scrollIntoView: true }),
    selection: () => [view.state.selection.main.from, view.state.selection.main.to],
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
