"use strict";

/* A form with a field for each column, and what moved the prediction. */

const MOST_DIGITS = 10; // of a number that its field shows completely
const MOST_OPTIONS = 100; // of more categories, text is typed, with suggestions
const MOST_EFFECTS = 10;
const LEAST_EFFECT = 5e-4; // of a probability
const DAY = 864e5; // milliseconds
const OTHER = "\0"; // stands for all categories that training did not have, or had rarely

const toDate = (days) => new Date(Math.floor(days) * DAY).toISOString().slice(0, 10);

/** Return a text for the range and the typical value of a column, "" if they are unknown. */
function hintFor(column, write) {
  const typical = typicalCell(column);
  const median = column.kind === "plain" || typical === null ? "" : `median ${write(typical)}`;
  const range = column.limits ? `${column.limits.map(write).join(" to ")} in training` : "";
  return [range, median].filter(Boolean).join(", ");
}

/** The fields by kind of column: each has the elements, and `read` and `write` a cell. */
const FIELDS = {
  /** A number, with a slider over the range of the training rows. */
  number(column, id) {
    const input = inputOf("number", id, { step: "any", placeholder: placeholderOf(column) });
    input.style.flexBasis = `calc(${widthOf(column)}ch + 2.75rem)`; // with the spin buttons
    const slider = sliderFor(column);
    const read = () => (Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : null);
    const follow = () => (slider.value = read() ?? typicalCell(column));
    const write = (cell) => {
      input.value = cell ?? "";
      follow();
    };
    slider.addEventListener("input", () => {
      input.value = Number(slider.valueAsNumber.toPrecision(4));
    });
    input.addEventListener("input", follow);
    return { elements: [input, slider], read, write, hint: hintFor(column, short) };
  },

  date(column, id) {
    const input = inputOf("date", id);
    const read = () => (Number.isFinite(input.valueAsNumber) ? input.valueAsNumber / DAY : null);
    const write = (cell) => (input.value = cell === null ? "" : toDate(cell));
    return { elements: [input], read, write, hint: hintFor(column, toDate) };
  },

  boolean(column, id) {
    return choice(id, [[1, "yes"], [0, "no"]]);
  },

  category(column, id) {
    if (column.levels.length > MOST_OPTIONS) return suggested(column, id);
    const levels = column.levels.map((level) => [level, level]);
    return choice(id, [...levels, [OTHER, "another category"]]);
  },
};
FIELDS.quantile = FIELDS.plain = FIELDS.number;
FIELDS.code = FIELDS.category;

const placeholderOf = ({ kind, typical }) => (kind === "plain" ? short(typical) : "missing");

/** Return the number of characters of the ends of the range and of the typical value. */
function widthOf(column) {
  const numbers = [...(column.limits ?? []), typicalCell(column) ?? 0];
  const lengths = numbers.map((number) => String(number).length);
  return Math.min(Math.max(placeholderOf(column).length, ...lengths), MOST_DIGITS);
}

/** A slider over the range of the training rows; hidden if the range is unknown. */
function sliderFor(column) {
  const [min, max] = column.limits ?? [0, 0];
  const isWhole = [min, max, typicalCell(column)].every(Number.isInteger);
  const slider = inputOf("range", "", { min, max, step: isWhole ? 1 : (max - min) / 200 || 1 });
  slider.hidden = min === max;
  slider.tabIndex = -1; // the number beside it is for the keyboard
  slider.setAttribute("aria-hidden", "true");
  return slider;
}

function inputOf(type, id, attributes = {}) {
  const input = make("input");
  Object.assign(input, { type, id, autocomplete: "off" }, attributes);
  return input;
}

/** A select of "missing" and of [cell, text]; an unknown cell selects the last one. */
function choice(id, options) {
  const select = make("select");
  select.id = id;
  select.append(...[[null, "missing"], ...options].map(([, text]) => make("option", text)));
  const cells = [null, ...options.map(([cell]) => cell)];
  const read = () => cells[select.selectedIndex];
  const write = (cell) => {
    const place = cells.indexOf(cell);
    select.selectedIndex = place < 0 ? cells.length - 1 : place;
  };
  return { elements: [select], read, write, hint: "" };
}

/** A text field that suggests the categories. */
function suggested({ levels }, id) {
  const input = inputOf("text", id, { placeholder: "missing" });
  const list = make("datalist");
  list.id = `${id}-levels`;
  list.append(...levels.map((level) => make("option", level)));
  input.setAttribute("list", list.id);
  const read = () => input.value.trim() || null;
  const write = (cell) => (input.value = cell ?? "");
  return { elements: [input, list], read, write, hint: `${levels.length} categories` };
}

/** Fill the form; return its fields in the order of the columns. */
function buildForm(form, columns, onChange) {
  const fields = columns.map((column, i) => {
    const id = `field-${i}`;
    const field = FIELDS[column.kind](column, id);
    const label = make("label", column.column);
    label.htmlFor = id;
    const row = make("div", "", "field");
    const inputs = make("div", "", "inputs");
    inputs.append(...field.elements);
    row.append(label, inputs);
    if (field.hint) {
      const hint = make("small", field.hint);
      hint.id = `${id}-hint`;
      field.elements[0].setAttribute("aria-describedby", hint.id);
      row.append(hint);
    }
    form.append(row);
    return field;
  });
  form.addEventListener("input", onChange);
  form.addEventListener("submit", (event) => event.preventDefault());
  return fields;
}

/** Fill the form with one text field for all numbers of a row; return it. */
function buildRow(form, columns, onChange) {
  const label = make("label", `${columns.length} numbers, separated by spaces or commas`);
  const text = make("textarea");
  const problem = make("p", "", "problem");
  text.id = label.htmlFor = "row";
  text.rows = 10;
  problem.id = "row-problem";
  text.setAttribute("aria-describedby", problem.id);
  form.append(label, text, problem);
  form.addEventListener("input", onChange);
  form.addEventListener("submit", (event) => event.preventDefault());
  return {
    /** Return the numbers, null if there are more or fewer. */
    read() {
      const cells = text.value.split(/[\s,;]+/).filter(Boolean).map(Number);
      const unread = cells.filter((cell) => !Number.isFinite(cell)).length;
      const isRow = cells.length === columns.length && !unread;
      problem.textContent = isRow
        ? ""
        : `Expected ${columns.length} numbers, found ${cells.length - unread}` +
          (unread ? `, and ${unread} other entries.` : ".");
      return isRow ? cells : null;
    },
    write: (cells) => (text.value = cells.map((cell) => Number(cell.toPrecision(7))).join(", ")),
  };
}

// ---- What moved the prediction -------------------------------------------------------------

/** Return the number that effects are measured on: a probability, or the first value. */
function scoreOf({ task }, mean, place) {
  return task === "values" ? mean[0] : mean[place];
}

/** Return [column, effect] of each column whose replacement by a typical cell changes the score. */
function effectsOf(model, cells, mean) {
  const place = argmax(mean);
  const score = scoreOf(model, mean, place);
  const effects = model.table.columns.map((column, i) => {
    const typical = typicalCell(column);
    if (cells[i] === typical || cells[i] === null) return [column.column, 0];
    const replaced = cells.map((cell, k) => (k === i ? typical : cell));
    const other = predict(model, encodeRow(model.table, replaced));
    return [column.column, score - scoreOf(model, other, place)];
  });
  const least = model.task === "values" ? 0 : LEAST_EFFECT;
  const moved = effects.filter(([, effect]) => Math.abs(effect) > least);
  return moved.sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).slice(0, MOST_EFFECTS);
}

/** Show effects as bars to the left (lower) or right (higher) of a middle line. */
function showEffects(model, cells, mean) {
  const effects = effectsOf(model, cells, mean);
  const [answer] = wordsFor(model, mean);
  const about = model.task === "values" ? "the prediction" : `the probability of ${answer}`;
  element("effects-of").textContent = effects.length
    ? `Change of ${about} due to each field:`
    : "No field changes the prediction: all have typical values, or no effect.";
  const largest = Math.abs(effects[0]?.[1] ?? 1);
  element("effects").replaceChildren(
    ...effects.map(([name, effect]) => {
      const row = newBar();
      const fill = row.querySelector(".fill");
      fill.style.transform = `translateX(50%) scaleX(${effect / largest / 2})`;
      fill.classList.add("signed", effect > 0 ? "up" : "down");
      const points = `${(100 * effect).toFixed(1)} points`;
      const amount = model.task === "values" ? short(effect) : points;
      row.cells[0].firstChild.textContent = name;
      row.cells[2].textContent = effect > 0 ? `+${amount}` : amount.replace("-", "−");
      return row;
    }),
  );
}
