// Study files as text: as much of YAML as they need, read and written.  What counts is the server's own reading; this
// one is for the parts that are typed into the form, and for showing what the form makes.

import { define, readFlow, scalar, YamlError } from "./yaml_scan.js";

const LONGEST = 96;
const BARE = /^[A-Za-z_][A-Za-z0-9_.\/-]*$/;
const KEY = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'[{#&*!|>][^#]*?)\s*:(?:\s+(.*))?$/;

/** The value of a text: mappings, lists, scalars; null for nothing.  Throws `YamlError`. */
export function readYaml(text) {
  const lines = joined(text.split(/\r?\n/));
  if (lines.length === 0) return null;
  const [value, next] = block(lines, 0, lines[0].indent);
  if (next < lines.length) throw new YamlError("the indentation fits nothing above", lines[next].number);
  return value;
}

/** The text of a mapping, as people write study files: short parts in one line. */
export function writeYaml(value) {
  return Object.entries(value).map(([key, each]) => writeEntry(key, each, "")).join("");
}

function writeEntry(key, value, indent) {
  const head = `${indent}${writeScalar(key)}:`;
  const line = `${head} ${inOneLine(value)}\n`;
  if (!isMapping(value) || isEmpty(value) || (isFlat(value) && line.length <= LONGEST)) {
    if (Array.isArray(value) && line.length > LONGEST) {
      return `${head}\n${value.map((each) => `${indent}  - ${inOneLine(each)}\n`).join("")}`;
    }
    return line;
  }
  return `${head}\n${Object.entries(value).map(([name, each]) => writeEntry(name, each, `${indent}  `)).join("")}`;
}

function inOneLine(value) {
  if (Array.isArray(value)) return `[${value.map(inOneLine).join(", ")}]`;
  if (!isMapping(value)) return writeScalar(value);
  return `{${Object.entries(value).map(([key, each]) => `${writeScalar(key)}: ${inOneLine(each)}`).join(", ")}}`;
}

function writeScalar(value) {
  if (typeof value === "number" && !Number.isInteger(value)) {
    const text = String(value); // 1e-7 without a point would be read as a text
    return /^-?\d+e/.test(text) ? text.replace("e", ".0e") : text;
  }
  if (typeof value !== "string") return String(value);
  return BARE.test(value) && scalar(value) === value ? value : JSON.stringify(value);
}

function isMapping(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value) {
  return Object.keys(value).length === 0;
}

function isFlat(value) {
  return Object.values(value).every((each) => !isMapping(each)
    && (!Array.isArray(each) || each.every((one) => typeof one !== "object")));
}

/** Lines with something in them; what stands in brackets over several lines is one. */
function joined(raw) {
  const found = [];
  let open = null;
  raw.forEach((whole, index) => {
    const text = withoutComment(whole);
    if (open !== null) {
      open.text += ` ${text.trim()}`;
      if (depth(open.text) <= 0) open = null;
      return;
    }
    if (text.trim() === "" || text.trim() === "---") return;
    const indent = text.length - text.trimStart().length;
    if (text.slice(0, indent).includes("\t")) throw new YamlError("indent with spaces", index + 1);
    const line = { indent, text: text.trim(), number: index + 1 };
    found.push(line);
    if (depth(line.text) > 0) open = line;
  });
  return found;
}

function withoutComment(line) {
  const end = quoteless(line).search(/(^|\s)#/);
  return end < 0 ? line.trimEnd() : line.slice(0, end).trimEnd();
}

function depth(text) {
  const plain = quoteless(text);
  return (plain.match(/[[{]/g) ?? []).length - (plain.match(/[\]}]/g) ?? []).length;
}

/** The same length, with nothing in quotes that could mean something.  A quote within a word is an apostrophe. */
function quoteless(text) {
  return text.replace(/(?<![\w)])("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')/g, (all) => "_".repeat(all.length));
}

function block(lines, start, indent) {
  return isItem(lines[start]) ? items(lines, start, indent) : mapping(lines, start, indent);
}

function isItem({ text }) {
  return text === "-" || text.startsWith("- ");
}

function items(lines, start, indent) {
  const found = [];
  let place = start;
  while (place < lines.length && lines[place].indent === indent && isItem(lines[place])) {
    const { text, number } = lines[place];
    const rest = text.slice(1).trimStart();
    if (rest !== "" && (KEY.exec(rest) === null || /^["'[{]/.test(rest))) {
      found.push(readFlow(rest, number));
      place += 1;
      continue;
    }
    const inner = rest === "" ? [] : [{ indent: indent + text.length - rest.length, text: rest, number }];
    let end = place + 1;
    while (end < lines.length && lines[end].indent > indent) end += 1;
    const below = [...inner, ...lines.slice(place + 1, end)];
    found.push(below.length === 0 ? null : block(below, 0, below[0].indent)[0]);
    place = end;
  }
  return [found, place];
}

function mapping(lines, start, indent) {
  const found = {};
  let place = start;
  while (place < lines.length && lines[place].indent === indent && !isItem(lines[place])) {
    const { text, number } = lines[place];
    const match = KEY.exec(text);
    if (match === null) {
      if (place === start && lines.length === 1) return [readFlow(text, number), place + 1];
      throw new YamlError(`write NAME: VALUE here, not ${text.slice(0, 30)}`, number);
    }
    const key = /^["']/.test(match[1]) ? readFlow(match[1], number) : match[1];
    if (Object.hasOwn(found, key)) throw new YamlError(`${key} stands here twice`, number);
    place += 1;
    if (match[2] !== undefined && match[2] !== "") {
      define(found, key, readFlow(match[2], number));
    } else if (place < lines.length && (lines[place].indent > indent
      || (lines[place].indent === indent && isItem(lines[place])))) {
      const [value, next] = block(lines, place, lines[place].indent);
      define(found, key, value);
      place = next;
    } else {
      define(found, key, null);
    }
  }
  return [found, place];
}
