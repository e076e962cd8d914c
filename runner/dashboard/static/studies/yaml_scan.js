// Values in one line of YAML: scalars, quoted texts, [lists] and {mappings}.

/** What is wrong with a text, and in which line (from 1). */
export class YamlError extends Error {
  constructor(message, line) {
    super(message);
    this.name = "YamlError";
    this.line = line;
  }
}

const WORDS = new Map([
  ["", null], ["~", null], ["null", null], ["Null", null], ["NULL", null],
  ["true", true], ["True", true], ["TRUE", true], ["yes", true], ["on", true],
  ["false", false], ["False", false], ["FALSE", false], ["no", false], ["off", false],
]);
const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/;

/** The value of a text without quotes. */
export function scalar(text) {
  if (WORDS.has(text)) return WORDS.get(text);
  return NUMBER.test(text) ? Number(text) : text;
}

/** The value that a whole text is, which stands in this line. */
export function readFlow(text, line) {
  let place = 0;

  function fail(message) {
    throw new YamlError(message, line);
  }

  function space() {
    while (place < text.length && /\s/.test(text[place])) place += 1;
  }

  function value(inFlow) {
    space();
    const first = text[place];
    if (first === "[") return list();
    if (first === "{") return mapping();
    if (first === '"' || first === "'") return quoted();
    if (first === "&" || first === "*" || first === "!" || first === "|" || first === ">") {
      fail(`write the value out: ${first} has a meaning of its own here`);
    }
    return scalar(plain(inFlow));
  }

  function plain(inFlow) {
    const from = place;
    while (place < text.length) {
      const sign = text[place];
      if (inFlow && (sign === "," || sign === "]" || sign === "}" || sign === "[" || sign === "{")) break;
      if (sign === ":" && inFlow && /\s|,|\]|\}|^$/.test(text[place + 1] ?? "")) break;
      place += 1;
    }
    return text.slice(from, place).trim();
  }

  function quoted() {
    const quote = text[place];
    const from = place;
    for (place += 1; place < text.length; place += 1) {
      if (quote === '"' && text[place] === "\\") place += 1;
      else if (text[place] === quote && quote === "'" && text[place + 1] === "'") place += 1;
      else if (text[place] === quote) break;
    }
    if (place >= text.length) fail("a quotation does not end");
    place += 1;
    const raw = text.slice(from, place);
    if (quote === "'") return raw.slice(1, -1).replaceAll("''", "'");
    try {
      return JSON.parse(raw);
    } catch {
      return fail(`${raw} is no text in double quotes`);
    }
  }

  function list() {
    const found = [];
    for (place += 1; ;) {
      space();
      if (text[place] === "]") break;
      if (place >= text.length) fail("a list does not end: ] is missing");
      found.push(value(true));
      separator("]");
    }
    place += 1;
    return found;
  }

  function mapping() {
    const found = {};
    for (place += 1; ;) {
      space();
      if (text[place] === "}") break;
      if (place >= text.length) fail("a mapping does not end: } is missing");
      const key = String(value(true) ?? "");
      space();
      if (text[place] !== ":") fail(`a value is missing: write ${key}: VALUE`);
      place += 1;
      if (Object.hasOwn(found, key)) fail(`${key} stands here twice`);
      define(found, key, value(true));
      separator("}");
    }
    place += 1;
    return found;
  }

  function separator(end) {
    space();
    if (text[place] === ",") place += 1;
    else if (text[place] !== end) fail(`expected , or ${end}${place < text.length ? ` before ${text[place]}` : ""}`);
  }

  const found = value(false);
  space();
  if (place < text.length) fail(`there is something behind the value: ${text.slice(place, place + 20)}`);
  return found;
}

/** Sets a key, whatever it is called: `__proto__` is a name like others. */
export function define(object, key, value) {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}
