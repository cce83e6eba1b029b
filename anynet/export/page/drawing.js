"use strict";

/* A canvas to draw on with mouse, pen, finger and keys. */

const BRUSH = 0.08; // width of strokes, as a share of the longest side
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const BLANK = { strokes: [], picture: null };

/**
 * Strokes of white ink on black, or a test picture; onChange is called after each change.
 *
 * The canvas has `factor` pixels for each of the network's rows and columns. `cursor` is the
 * element that shows the pen of the keyboard.
 */
class Drawing {
  constructor({ canvas, cursor, shape: [rows, columns], factor, onChange }) {
    [canvas.height, canvas.width] = [rows * factor, columns * factor];
    Object.assign(this, { canvas, cursor, factor, onChange });
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.content = BLANK;
    this.earlier = []; // contents, for undo
    this.pointer = null; // the one that draws
    this.liftPen();
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => (this.pointer = null));
    }
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => this.liftPen());
    this.redraw();
  }

  // ---- Contents ----

  change(content) {
    this.earlier.push(this.content);
    this.content = content;
    this.redraw();
    this.onChange();
  }

  undo() {
    this.content = this.earlier.pop() ?? BLANK;
    this.redraw();
    this.onChange();
  }

  clear() {
    if (this.content.strokes.length || this.content.picture) this.change(BLANK);
  }

  /** Show a picture of the network's size, with shades from 0 to 1. */
  show(picture) {
    this.change({ strokes: [], picture });
  }

  /** Begin a stroke; it replaces a test picture. */
  addStroke(point) {
    this.change({ strokes: [...this.content.strokes, [point]], picture: null });
  }

  /** Continue the last stroke to a point. */
  extend(point) {
    this.content.strokes[this.content.strokes.length - 1].push(point);
  }

  // ---- Mouse, pen and finger ----

  /** Return the position of a pointer in pixels of the canvas. */
  position({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const { width: columns, height: rows } = this.canvas;
    return [((clientX - left) / width) * columns, ((clientY - top) / height) * rows];
  }

  begin(event) {
    if (event.button !== 0 || this.pointer !== null) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.addStroke(this.position(event));
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? []; // all positions since the last frame
    for (const each of events.length ? events : [event]) this.extend(this.position(each));
    this.redraw();
    this.onChange();
  }

  // ---- Keyboard ----

  /** Arrows move the pen, Space lowers or lifts it, Backspace and Delete clear. */
  press(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") this.undo();
    else if (event.key === "Backspace" || event.key === "Delete") this.clear();
    else if (event.key === " ") this.togglePen();
    else if (event.key in KEYS) this.movePen(KEYS[event.key]);
    else return;
    event.preventDefault();
  }

  togglePen() {
    this.pen.down = !this.pen.down;
    if (this.pen.down) this.addStroke([this.pen.x, this.pen.y]);
    this.showPen();
  }

  movePen([right, down]) {
    const { width, height } = this.canvas;
    const step = Math.max(width, height) / 28;
    this.pen.x = Math.min(Math.max(this.pen.x + right * step, 0), width);
    this.pen.y = Math.min(Math.max(this.pen.y + down * step, 0), height);
    if (this.pen.down) {
      this.extend([this.pen.x, this.pen.y]);
      this.redraw();
      this.onChange();
    }
    this.showPen();
  }

  showPen() {
    const { width, height } = this.canvas;
    this.cursor.hidden = false;
    this.cursor.classList.toggle("down", this.pen.down);
    this.cursor.style.left = `${(100 * this.pen.x) / width}%`;
    this.cursor.style.top = `${(100 * this.pen.y) / height}%`;
  }

  liftPen() {
    this.pen = { x: this.canvas.width / 3, y: this.canvas.height / 4, down: false };
    this.cursor.hidden = true;
  }

  // ---- Pixels ----

  line(points) {
    const { context, canvas } = this;
    context.lineWidth = BRUSH * Math.max(canvas.width, canvas.height);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "white";
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }

  redraw() {
    const { strokes, picture } = this.content;
    this.context.fillStyle = "black";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (picture) paint(this.context, picture, this.factor);
    strokes.forEach((stroke) => this.line(stroke));
  }

  /** Return the ink as a picture of the canvas's size. */
  ink() {
    const { width, height } = this.canvas;
    const pixels = this.context.getImageData(0, 0, width, height).data;
    return pictureOf(height, width, (i, j) => pixels[4 * (i * width + j)] / 255);
  }
}

/** Paint a picture of shades from 0 to 1, each pixel as a square of `side` pixels. */
function paint(context, { width, data }, side) {
  data.forEach((shade, place) => {
    const level = Math.round(255 * Math.min(Math.max(shade, 0), 1));
    context.fillStyle = `rgb(${level} ${level} ${level})`;
    context.fillRect((place % width) * side, Math.floor(place / width) * side, side, side);
  });
}
