// What may stand at the cursor, from the kinds' schemas (labkit/ui/panels/policy/completion.py makes the index).
//
// Where the cursor is follows from the indentation, not from a syntax tree: half a line, as one is while it is typed, is
// a fault for a parser, and indentation is what the learner sees.

const KEY = String.raw`(?<quote>["']?)(?<key>[\w./-]+)\k<quote>\s*:(?=\s|$)`;
const LINE = new RegExp(String.raw`^(\s*)((?:-\s+)*)(?:${KEY})?`);
const BARE = /^(\s*)((?:-\s+)*)([\w./-]*)$/;
const VALUE = new RegExp(String.raw`^(\s*)((?:-\s+)*)${KEY}\s+["']?(?<typed>[\w./-]*)$`);

// A line's first column, the column of its key, whether it is an item, and its key.
function parts(text) {
  const { 1: indent, 2: dashes, groups } = LINE.exec(text);
  return { first: indent.length, column: indent.length + dashes.length, item: dashes !== "", key: groups.key };
}

function says(text) {
  return /\S/.test(text) && !/^\s*#/.test(text);
}

// The document of a stream that a line is in: [number of its first line, of its last].
function bounds(doc, number) {
  const parted = (at) => /^---(\s|$)/.test(doc.line(at).text);
  let [first, last] = [number, number];
  while (first > 1 && !parted(first - 1)) first -= 1;
  while (last < doc.lines && !parted(last + 1)) last += 1;
  return [first, last];
}

// The keys above a place, outermost first. `column` is where it begins; `item` says that it begins an item of a list.
function pathTo(doc, first, number, { start, column, item }) {
  const path = [];
  let limit = item ? start + 1 : column;
  for (let at = number - 1; at >= first && limit > 0; at -= 1) {
    const { text } = doc.line(at);
    if (!says(text)) continue;
    const line = parts(text);
    if (line.key && line.column < limit) {
      path.unshift(line.key);
      limit = line.item ? line.first + 1 : line.column;
    } else if (line.item && line.first < limit) limit = line.first + 1;
  }
  return path;
}

// The keys that stand beside a place already.
function beside(doc, [first, last], number, { start, column, item }) {
  const found = new Set();
  const look = (from, to, step) => {
    for (let at = from; step > 0 ? at <= to : at >= to; at += step) {
      const { text } = doc.line(at);
      if (!says(text)) continue;
      const line = parts(text);
      if (step > 0 && line.first < column) break; // the mapping is over, or the next item begins
      if (line.column === column && line.key) found.add(line.key);
      if (step < 0 && line.first < column) break;
    }
  };
  if (!item) look(number - 1, first, -1);
  look(number + 1, last, 1);
  return found;
}

// Inside of {…} on one line: the keys that lead there, and what is typed last.
function inFlow(text) {
  const opens = text.search(/[:\-\s][{]/);
  if (opens < 0) return null;
  const keys = [];
  const open = [];
  let last = "";
  let key = parts(text).key || "";
  let since = "";
  let used = new Set();
  for (const sign of text.slice(opens + 1)) {
    if (sign === "{" || sign === "[") {
      open.push([key, used]);
      keys.push(key);
      [key, since, used] = ["", "", new Set()];
    } else if (sign === "}" || sign === "]") {
      if (!open.length) return null;
      [key, used] = open.pop();
      keys.pop();
      since = "";
    } else if (sign === ",") {
      [key, since] = ["", ""];
    } else if (sign === ":") {
      key = since.trim();
      used.add(key);
      since = "";
    } else since += sign;
    last = sign;
  }
  if (!open.length || last === ":") return null;
  // an item of a list has no key of its own
  return { keys: keys.filter(Boolean), key, typed: since.trimStart(), used };
}

export function placeAt(doc, pos) {
  const line = doc.lineAt(pos);
  const before = line.text.slice(0, pos - line.from);
  const range = bounds(doc, line.number);
  let kind = "";
  for (let at = range[0]; at <= range[1]; at += 1) {
    const found = /^kind:\s*["']?(\w+)/.exec(doc.line(at).text);
    if (found) kind = found[1];
  }
  const place = parts(line.text);
  const where = { start: place.first, column: place.column, item: place.item };
  const flow = inFlow(before);
  if (flow) {
    const above = pathTo(doc, range[0], line.number, where);
    const path = [...above, ...flow.keys];
    return flow.key
      ? { kind, path: [...path, flow.key], value: true, typed: flow.typed, flow: true }
      : { kind, path, value: false, typed: flow.typed, used: flow.used, flow: true };
  }
  const value = VALUE.exec(before);
  if (value) {
    const above = pathTo(doc, range[0], line.number, where);
    return { kind, path: [...above, value.groups.key], value: true, typed: value.groups.typed };
  }
  const bare = BARE.exec(before);
  if (!bare) return null;
  // the key that is being typed has no colon yet, and spaces alone are a place as well
  const own = { start: bare[1].length, column: bare[1].length + bare[2].length, item: bare[2] !== "" };
  const path = pathTo(doc, range[0], line.number, own);
  return { kind, path, value: false, typed: bare[3], used: beside(doc, range, line.number, own), column: own.column };
}

// The node of the index at a path; an item of a list is meant where a list is on the way.
function nodeAt(index, kind, path) {
  const resolve = (node) => (node && node.is ? index.shared[node.is] : node);
  let node = resolve(index.kinds[kind] || index.any);
  for (const key of path) {
    node = resolve(node && node.fields && node.fields[key]);
    while (node && node.item) node = resolve(node.item);
  }
  return node;
}

function shape(index, node) {
  const found = node.is ? index.shared[node.is] : node;
  return found.item ? "list" : found.fields ? "object" : found.type || "";
}

export function completions(index) {
  return (context) => {
    const place = placeAt(context.state.doc, context.pos);
    if (!place || (!context.explicit && !place.typed)) return null;
    const node = nodeAt(index, place.kind, place.path);
    if (!node) return null;
    const from = context.pos - place.typed.length;
    const again = /^[\w./-]*$/;
    if (node.values && (place.value || !node.fields))
      return { from, validFor: again, options: node.values.map((label) => ({ label, type: "enum" })) };
    if (place.value || !node.fields) return null;
    const options = Object.entries(node.fields)
      .filter(([name]) => !place.used.has(name))
      .map(([label, field]) => {
        const kind = shape(index, field);
        const inner = `\n${" ".repeat((place.column || 0) + 2)}`;
        const after = place.flow || !["list", "object"].includes(kind) ? ": " : kind === "list" ? `:${inner}- ` : `:${inner}`;
        const told = (field.is ? index.shared[field.is] : field).about || "";
        return { label, detail: kind, info: told || undefined, type: "property", apply: label + after };
      });
    return { from, validFor: again, options };
  };
}
