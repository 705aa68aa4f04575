// The data of the page, and how it writes numbers and elements.

const data = JSON.parse(document.getElementById("data").textContent);

const find = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const isNumber = (value) => typeof value === "number";

// Errors with three digits behind the point, as in the tables of the terminal.
const decimal = (value) => (isNumber(value) ? value.toFixed(3).replace("-", "−") : "–");

const signed = (value) => (isNumber(value) && value > 0 ? "+" : "") + decimal(value);

const whole = (value) => (isNumber(value) ? String(value) : "–");

const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

const many = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// "low to high" of a mean with a half-width.
function interval(mean, halfWidth, write = decimal) {
  return isNumber(halfWidth) ? `${write(mean - halfWidth)} to ${write(mean + halfWidth)}` : "–";
}

const distinctValues = (values) => [...new Set(values)];

// Array of numbers, null where a path failed, from base64 of whole numbers of 16 bits.
function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  const counts = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 2 }, (_, i) => {
    const count = counts.getInt16(2 * i, true);
    return count === data.overlays.failed ? null : count * packed.step;
  });
}

// Fill a table element: columns are {title, number, minor}, rows are arrays of texts, the first the row's header.
function fillTable(table, columns, rows) {
  const style = (column) => [column.number && "number", column.minor && "minor", column.text && "text"].filter(Boolean);
  const cell = (tag, column, attributes, content) =>
    element(tag, { ...attributes, class: style(column).join(" ") }, content);
  const head = columns.map((column) => cell("th", column, { scope: "col" }, column.title));
  const body = rows.map((row) =>
    element("tr", {}, ...row.map((text, i) =>
      i === 0 ? cell("th", columns[i], { scope: "row" }, text) : cell("td", columns[i], {}, text))));
  table.replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}
