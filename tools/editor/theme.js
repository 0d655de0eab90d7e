// JupyterLab's own colours of code, through its theme's variables; beside each what is right where there is no theme.

import { EditorView } from "@codemirror/view";

const ink = "var(--jp-content-font-color1, #111)";
const paper = "var(--jp-layout-color1, #fff)";
const soft = "var(--jp-layout-color2, #eee)";
const line = "var(--jp-border-color1, #bdbdbd)";
// of the theme's colour of code as much as a contrast of 4.5 : 1 allows in both themes
const code = (name, otherwise) => `color-mix(in srgb, var(--jp-mirror-editor-${name}-color, ${otherwise}) 75%, ${ink})`;
const wavy = (colour) => ({ backgroundImage: "none", textDecoration: `underline wavy ${colour}`, textDecorationSkipInk: "none", textUnderlineOffset: "3px" });

export const theme = EditorView.theme({
  "&": { backgroundColor: paper, color: ink, fontSize: "13px", lineHeight: "1.35", width: "100%" },
  "&.cm-focused": { outline: "none" }, // the panel draws it around the whole
  ".cm-scroller": { fontFamily: "var(--jp-code-font-family, ui-monospace, monospace)", lineHeight: "1.35", overflow: "auto" },
  ".cm-content": { caretColor: ink, padding: "6px 0" },
  ".cm-cursor": { borderLeftColor: ink, borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: soft, color: ink, border: "none" },
  ".cm-activeLine": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--jp-brand-color1, #1976d2) 9%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLineGutter": { fontWeight: "700" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "var(--jp-editor-selected-background, #d9d9d9)",
  },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "var(--jp-editor-selected-focused-background, #b3d7ff)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "transparent", outline: `1px solid ${ink}` },
  ".labkit-y-key": { color: code("def", "#00458a") },
  ".labkit-y-text": { color: code("string", "#a11") },
  ".labkit-y-comment": { color: code("comment", "#406060"), fontStyle: "italic" },
  ".labkit-y-meta": { color: code("keyword", "#006400") },
  ".labkit-y-sign": { color: ink },
  ".cm-lintRange-error": wavy("#d55e00"),
  ".cm-lintRange-warning": wavy("#e69f00"),
  ".cm-lintRange-info": wavy("#0072b2"),
  ".cm-tooltip": { backgroundColor: paper, color: ink, border: `1px solid ${line}`, fontSize: "13px", zIndex: "1000" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--jp-code-font-family, ui-monospace, monospace)", maxHeight: "16em" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "#005a91", color: "#fff" },
  ".cm-completionDetail": { fontStyle: "normal", marginLeft: "1.5em", opacity: "0.85" },
  ".cm-completionInfo": { maxWidth: "24em", padding: "4px 8px" },
  ".cm-diagnostic": { padding: "4px 10px", maxWidth: "36em" },
  ".cm-diagnostic-error": { borderLeft: "4px solid #d55e00" },
  ".cm-diagnostic-warning": { borderLeft: "4px solid #e69f00" },
  ".cm-diagnostic-info": { borderLeft: "4px solid #0072b2" },
});
