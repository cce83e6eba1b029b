"use strict";

/* Connect the parts of the page. */

const model = withArrays(
  JSON.parse(element("model").textContent),
  bytesOf(element("weights").textContent),
);

/** Return a function that calls update once before the next frame, however often it is called. */
function onceAFrame(update) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      update();
    });
  };
}

/** Return a function that calls update when it has not been called for a while. */
function whenCalm(update, milliseconds = 150) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(update, milliseconds);
  };
}

// ---- Test samples --------------------------------------------------------------------------

/** Return a function that returns the places of test samples in random order, again and again. */
function shuffled(count) {
  let left = [];
  return () => {
    if (!left.length) left = [...Array(count).keys()];
    return left.splice(Math.floor(Math.random() * left.length), 1)[0];
  };
}

/** Return the label of a test sample in words, and whether a prediction equals it. */
function compare({ task, outputs }, label, mean) {
  if (task === "classes") return [outputs[label], argmax(mean) === label];
  if (task === "values") return [[label].flat().map(short).join(", "), null];
  const wanted = [label].flat();
  const names = outputs.filter((_, i) => wanted[i] === 1);
  const equal = wanted.every((yes, i) => (yes === 1) === mean[i] > 0.5);
  return [names.join(", ") || "no label", equal];
}

/** Write whether the answer for a test sample is right; return the text. */
function showRemark(label, mean) {
  const remark = element("remark");
  remark.className = "";
  remark.textContent = "";
  if (label === null) return "";
  const [name, isRight] = compare(model, label, mean);
  const verdict = { true: " ✓ correct", false: " ✗ wrong", null: "" }[isRight];
  remark.textContent = `${model.task === "values" ? "True value" : "Label"}: ${name}${verdict}`;
  remark.className = { true: "right", false: "wrong", null: "" }[isRight];
  return remark.textContent;
}

/** Let the button show test samples, if the page has any. */
function offerSamples(show) {
  const { samples } = model;
  if (!samples) return;
  const next = shuffled(samples.labels.length);
  element("sample").hidden = false;
  element("sample").addEventListener("click", () => show(next()));
}

// ---- Pictures ------------------------------------------------------------------------------

function startPicture({ image, samples }) {
  const [rows, columns] = image.shape;
  const low = Math.min(image.paper, image.top);
  const shades = (input) => input.map((value) => (value - low) / Math.abs(image.top - image.paper));
  const size = rows * columns;
  const paper = new Float64Array(size).fill(image.paper);
  const seen = element("seen");
  [seen.height, seen.width] = image.shape;
  element("seen-title").textContent = `Input: ${rows} × ${columns} pixels`;

  const drawing = new Drawing({
    canvas: element("canvas"),
    cursor: element("cursor"),
    shape: image.shape,
    factor: Math.max(1, Math.round(280 / Math.max(rows, columns))),
    onChange: onceAFrame(update),
  });

  function update() {
    const { picture } = drawing.content;
    const input = picture ? picture.input : networkInput(drawing.ink(), image);
    const { mean, hidden } = observed(model, input ?? paper);
    const shown = input === null ? null : mean;
    const remark = showRemark(picture ? picture.label : null, mean);
    paint(seen.getContext("2d"), { width: columns, data: shades(input ?? paper) }, 1);
    showAnswer(model, shown, remark);
    showBars(model, shown);
    showHidden(hidden);
  }

  element("undo").addEventListener("click", () => drawing.undo());
  element("clear").addEventListener("click", () => drawing.clear());
  if (samples) samples.inputs = readArray(samples.inputs, bytesOf(element("weights").textContent));
  offerSamples((place) => {
    const input = part(samples.inputs, place).data;
    const label = samples.labels[place];
    drawing.show({ width: columns, data: shades(input), input, label });
  });
  return { update, drawing };
}

// ---- Tables and plain rows -----------------------------------------------------------------

function startForm({ table, samples }) {
  let label = null;
  const change = () => {
    label = null;
    refresh();
  };
  const { columns } = table;
  const fields = table.fields
    ? buildForm(element("form"), columns, change)
    : [buildRow(element("form"), columns, change)];

  const readCells = () => (table.fields ? fields.map((field) => field.read()) : fields[0].read());
  const writeCells = (cells) => {
    if (table.fields) fields.forEach((field, i) => field.write(cells[i]));
    else fields[0].write(cells);
  };

  const explain = whenCalm(() => {
    const cells = readCells();
    if (cells) showEffects(model, cells, predict(model, encodeRow(table, cells)));
  });
  function update() {
    const cells = readCells();
    element("remark").textContent = "";
    if (cells === null) {
      showAnswer(model, null);
      showBars(model, null);
      return;
    }
    const { mean, hidden } = observed(model, encodeRow(table, cells));
    showAnswer(model, mean, showRemark(label, mean));
    showBars(model, mean);
    showHidden(hidden);
    explain();
  }
  const refresh = onceAFrame(update);

  const typical = columns.map(typicalCell);
  element("typical").addEventListener("click", () => {
    writeCells(typical);
    change();
  });
  offerSamples((place) => {
    writeCells(samples.rows[place]);
    label = samples.labels[place];
    refresh();
  });
  writeCells(typical);
  return { update };
}

// ---- Start ---------------------------------------------------------------------------------

const page = model.image ? startPicture(model) : startForm(model);
element("legend").textContent =
  (model.networks.length > 1 ? `The first of ${model.networks.length} networks. ` : "") +
  "Each square is a hidden unit: the stronger its colour, the stronger its activation " +
  "(blue above 0, orange below).";
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", page.update);
page.update();
