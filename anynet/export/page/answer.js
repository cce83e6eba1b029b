"use strict";

/* What the page shows of a prediction: the answer, bars, hidden units, what moved it. */

const MOST_BARS = 20; // of more outputs, the ten largest are shown
const MOST_UNITS = 2048;
const WIDTH = 288; // of the picture of a hidden layer, in pixels

const element = (id) => document.getElementById(id);

/** Return a new element with text; names from data are never read as HTML. */
function make(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Write a share as a percentage. */
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Write a number with five significant digits, or all digits of its whole part. */
function short(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) return value.toExponential(3);
  const digits = Math.max(5, Math.ceil(Math.log10(size || 1)));
  return value.toLocaleString("en", { maximumSignificantDigits: digits });
}

/** Return the place of the largest value. */
const argmax = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

/** Return the places of the labels that are more likely than not. */
const labelsOf = (mean) => [...mean.keys()].filter((i) => mean[i] > 0.5);

/** Return the answer of the network in words: [answer, detail]. */
function wordsFor({ task, outputs }, mean) {
  if (task === "classes") {
    const best = argmax(mean);
    return [outputs[best], percent(mean[best])];
  }
  if (task === "labels") {
    return [labelsOf(mean).map((i) => outputs[i]).join(", ") || "no label", ""];
  }
  const values = [...mean].map(short);
  if (values.length === 1) return [values[0], ""];
  return [values.map((value, i) => `${outputs[i]}: ${value}`).join(", "), ""];
}

/** Show an answer; a screen reader reads it once it has not changed for a while. */
function showAnswer(model, mean, remark = "") {
  const [answer, detail] = mean === null ? ["?", ""] : wordsFor(model, mean);
  element("answer").textContent = answer;
  element("detail").textContent = detail;
  clearTimeout(showAnswer.timer);
  const spoken = mean === null ? "" : `Answer: ${answer} ${detail} ${remark}`;
  showAnswer.timer = setTimeout(() => (element("spoken").textContent = spoken.trim()), 600);
}

/** Fill the table of bars: one for each output, or the largest of many. */
function showBars({ task, outputs }, mean) {
  const body = element("bars");
  body.closest("table").hidden = task === "values";
  if (task === "values") return;
  const likely = mean ?? new Float64Array(outputs.length);
  let places = [...outputs.keys()];
  if (outputs.length > MOST_BARS) {
    places = places.sort((i, j) => likely[j] - likely[i]).slice(0, 10);
  }
  while (body.rows.length < places.length) body.append(newBar());
  const best = argmax(likely);
  places.forEach((place, row) => {
    const [name, track, share] = body.rows[row].cells;
    const chosen = task === "labels" ? likely[place] > 0.5 : place === best;
    body.rows[row].classList.toggle("best", mean !== null && chosen);
    name.firstChild.textContent = outputs[place];
    track.firstChild.firstChild.style.transform = `scaleX(${likely[place]})`;
    share.textContent = mean === null ? "–" : percent(likely[place]);
  });
}

function newBar() {
  const row = make("tr");
  const name = make("th");
  name.scope = "row";
  name.append(make("div"));
  const cell = make("td", "", "track");
  const track = make("div");
  track.append(make("div", "", "fill"));
  cell.append(track);
  row.append(name, cell, make("td", "", "number"));
  return row;
}

// ---- Hidden units --------------------------------------------------------------------------

/** Predict; return {mean, hidden}, the activations of hidden layers of the first network. */
function observed(model, x) {
  const hidden = [];
  const mean = predict(model, x, (layer, y) => {
    if (layer.function) hidden.push({ name: layer.function, values: y });
  });
  return { mean, hidden };
}

/** Draw the hidden layers, each unit as a square: the stronger its activation, the stronger. */
function showHidden(hidden) {
  const place = element("hidden");
  while (place.children.length < hidden.length) {
    const figure = make("figure");
    figure.append(make("figcaption"), make("canvas"));
    figure.lastChild.setAttribute("role", "img");
    place.append(figure);
  }
  const style = getComputedStyle(document.documentElement);
  const [positive, negative, off] = ["--positive", "--negative", "--off"].map((name) =>
    style.getPropertyValue(name),
  );
  hidden.forEach(({ name, values }, at) => {
    const [caption, canvas] = place.children[at].children;
    const shown = values.subarray(0, MOST_UNITS);
    const largest = shown.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    const active = shown.filter((value) => value > 0).length;
    caption.textContent = `Layer ${at + 1}: ${values.length} units, ${name}`;
    canvas.setAttribute("aria-label", `${active} of ${shown.length} units are above 0`);
    const across = shown.length > 256 ? 48 : 16;
    const side = WIDTH / across;
    canvas.width = Math.min(across, shown.length) * side;
    canvas.height = Math.ceil(shown.length / across) * side;
    const context = canvas.getContext("2d");
    shown.forEach((value, i) => {
      const square = [(i % across) * side, Math.floor(i / across) * side, side - 1, side - 1];
      context.globalAlpha = 1;
      context.fillStyle = off;
      context.fillRect(...square);
      context.globalAlpha = Math.abs(value) / largest;
      context.fillStyle = value > 0 ? positive : negative;
      context.fillRect(...square);
    });
  });
}
