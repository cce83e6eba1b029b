"use strict";

/*
 * The forward pass of the network.
 *
 * A layer takes and returns rows: a list with one array of numbers for each member of a network
 * whose members share weights, and a list of one row for all other networks. The weights are
 * float16 or float32; all arithmetic is float64.
 */

// ---- Weights -------------------------------------------------------------------------------

/** Return the bytes of base64 text. */
function bytesOf(text) {
  return Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
}

/** Return the number whose 16 bits are those of a half-precision float (IEEE 754). */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const READERS = {
  float16: [2, (view, at) => fromHalf(view.getUint16(at, true))],
  float32: [4, (view, at) => view.getFloat32(at, true)],
  uint8: [1, (view, at) => view.getUint8(at)],
};

/** Return the array that {dtype, shape, start} describes, as {data, shape}; rows come first. */
function readArray({ dtype, shape, start }, bytes) {
  const [size, read] = READERS[dtype];
  const view = new DataView(bytes.buffer);
  const data = new Float64Array(shape.reduce((product, side) => product * side, 1));
  for (let i = 0; i < data.length; i++) data[i] = read(view, start + i * size);
  return { data, shape };
}

/** Return row k of an array, or the matrix k of a stack of them. */
function part({ data, shape }, k) {
  const size = data.length / shape[0];
  return { data: data.subarray(k * size, (k + 1) * size), shape: shape.slice(1) };
}

// ---- Activations ---------------------------------------------------------------------------

const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

const logistic = (x) => 0.5 * (1 + Math.tanh(0.5 * x));

const ACTIVATIONS = {
  relu: (x) => Math.max(0, x),
  leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  selu: (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
  gelu: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  silu: (x) => x * logistic(x),
  mish: (x) => x * Math.tanh(softplus(x)),
  tanh: Math.tanh,
  sigmoid: logistic,
  identity: (x) => x,
};

/** Return log(1 + e^x). */
function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

// ---- Layers --------------------------------------------------------------------------------

/** Return x W + b, for W of shape (inputs, outputs). */
function affine(x, weight, bias) {
  const y = Float64Array.from(bias.data);
  const width = y.length;
  for (let i = 0; i < x.length; i++) {
    if (x[i] === 0) continue;
    for (let j = 0; j < width; j++) y[j] += x[i] * weight.data[i * width + j];
  }
  return y;
}

const times = (x, gain) => x.map((value, i) => value * gain.data[i]);
const plus = (x, bias) => x.map((value, i) => value + bias.data[i]);
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Shift and scale a row to mean 0 and variance 1. */
function normalised(x, epsilon) {
  const mean = sum(x) / x.length;
  const centred = x.map((value) => value - mean);
  const variance = sum(centred.map((value) => value * value)) / x.length;
  return centred.map((value) => value / Math.sqrt(variance + epsilon));
}

/**
 * Replace each of the leading columns by features, and keep the other inputs behind them.
 *
 * features(number, column) returns the features of one number; keepAll keeps the leading columns
 * too.
 */
function overColumns(x, columns, features, keepAll) {
  const y = [];
  for (let c = 0; c < columns; c++) y.push(...features(x[c], c));
  y.push(...(keepAll ? x : x.subarray(columns)));
  return Float64Array.from(y);
}

/** Return the piecewise-linear components of a number, see PiecewiseLinear of anynet. */
function binned(x, column, { left, scale, least, most }) {
  const bins = left.shape[1];
  return Float64Array.from({ length: bins }, (_, t) => {
    const i = column * bins + t;
    const z = (x - left.data[i]) * scale.data[i];
    return Math.min(Math.max(z, least.data[i]), most.data[i]);
  });
}

/** Return cos(2π w x + b) for the frequencies w and phases b (in radians) of a column. */
function waves(x, frequency, phase) {
  return frequency.data.map((w, i) => Math.cos(2 * Math.PI * w * x + phase[i]));
}

/** Replace the trailing integer codes by learned vectors; an unknown code becomes zeros. */
function embedded(x, { levels, width, arrays: { weight } }) {
  const numbers = x.length - levels.length;
  const y = Array.from(x.subarray(0, numbers));
  let first = 0;
  levels.forEach((count, column) => {
    const code = Math.trunc(x[numbers + column]);
    const known = code >= 0 && code < count;
    const start = (first + code) * width;
    y.push(...(known ? weight.data.subarray(start, start + width) : new Array(width).fill(0)));
    first += count;
  });
  return Float64Array.from(y);
}

/** Return log of the mean over rows of e^x. */
function logMean(rows) {
  return rows[0].map((_, j) => {
    const largest = Math.max(...rows.map((row) => row[j]));
    const total = sum(rows.map((row) => Math.exp(row[j] - largest)));
    return Math.log(total / rows.length) + largest;
  });
}

/** Return log softmax(x). */
function logSoftmax(x) {
  const largest = Math.max(...x);
  const total = Math.log(sum(x.map((value) => Math.exp(value - largest))));
  return x.map((value) => value - largest - total);
}

/** The logits of the mean prediction of several rows of logits, by the name of the link. */
const MEAN_LOGITS = {
  softmax: (rows) => logMean(rows.map(logSoftmax)),
  exp: logMean,
  identity: (rows) => rows[0].map((_, j) => sum(rows.map((row) => row[j])) / rows.length),
  logistic: (rows) => {
    const yes = logMean(rows.map((row) => row.map((z) => -softplus(-z))));
    const no = logMean(rows.map((row) => row.map((z) => -softplus(z))));
    return yes.map((value, j) => value - no[j]);
  },
};

const mapRows = (compute) => (rows, layer) => rows.map((row, k) => compute(row, layer, k));

/** The layers by kind: (rows, layer) => rows. */
const LAYERS = {
  dense: mapRows((x, { arrays: { weight, bias } }) => affine(x, weight, bias)),
  activation: mapRows((x, { function: name }) => x.map((value) => ACTIVATIONS[name](value))),
  parametric_activation: mapRows((x, { function: name, arrays: { gain } }) =>
    x.map((value, i) => value + gain.data[i] * (ACTIVATIONS[name](value) - value)),
  ),
  scale: mapRows((x, { factor, offset }) => x.map((value) => factor * value + offset)),
  dropout: (rows) => rows,
  feature_scale: mapRows((x, { arrays: { gain } }) => times(x, gain)),
  standardize: mapRows((x, { arrays: { mean, scale } }) =>
    x.map((value, i) => (value - mean.data[i]) * scale.data[i]),
  ),
  layer_norm: mapRows((x, { epsilon, arrays: { gain, bias } }) =>
    plus(times(normalised(x, epsilon), gain), bias),
  ),
  batch_norm: mapRows((x, { epsilon, arrays: { gain, bias, mean, variance } }) =>
    x.map((value, i) => {
      const deviation = Math.sqrt(variance.data[i] + epsilon);
      return ((value - mean.data[i]) / deviation) * gain.data[i] + bias.data[i];
    }),
  ),
  piecewise_linear: mapRows((x, { arrays, keep_input: keepAll }) =>
    overColumns(x, arrays.left.shape[0], (number, c) => binned(number, c, arrays), keepAll),
  ),
  piecewise_linear_embedding: mapRows((x, { arrays }) =>
    overColumns(x, arrays.left.shape[0], (number, c) => {
      const [weight, bias] = [part(arrays.weight, c).data, part(arrays.bias, c)];
      const ofBins = affine(binned(number, c, arrays), part(arrays.bin_weight, c), bias);
      return ofBins.map((value, d) => value + number * weight[d]);
    }),
  ),
  pbld: mapRows((x, { arrays }) => {
    const embed = (number, c) => {
      const cosines = waves(number, part(arrays.frequency, c), part(arrays.phase, c).data);
      return affine(cosines, part(arrays.weight, c), part(arrays.bias, c));
    };
    return overColumns(x, arrays.bias.shape[0], embed, true);
  }),
  cosine_embedding: mapRows((x, { arrays }) =>
    overColumns(x, arrays.bias.shape[0], (number, c) => {
      const phase = part(arrays.phase, c).data.map((turns) => 2 * Math.PI * turns);
      const cosines = waves(number, part(arrays.frequency, c), phase);
      const features = Float64Array.from([number, ...cosines]);
      return plus(times(features, part(arrays.gain, c)), part(arrays.bias, c));
    }),
  ),
  embedding: mapRows(embedded),
  ensemble_input: ([row], { members }) => new Array(members).fill(row),
  ensemble_scale: mapRows((x, { arrays: { gain } }, k) => times(x, part(gain, k))),
  ensemble_dense: mapRows((x, { arrays: { weight, bias } }, k) =>
    affine(x, part(weight, k), part(bias, k)),
  ),
  batch_ensemble_dense: mapRows((x, { arrays }, k) => {
    const none = { data: new Float64Array(arrays.weight.shape[1]) };
    const product = affine(times(x, part(arrays.input_gain, k)), arrays.weight, none);
    return plus(times(product, part(arrays.output_gain, k)), part(arrays.bias, k));
  }),
  ensemble_mean: (rows, { link }) => [MEAN_LOGITS[link](rows)],
};

// ---- Prediction ----------------------------------------------------------------------------

/** From logits to the prediction, by the name of the link. */
const LINKS = {
  softmax: (x) => logSoftmax(x).map(Math.exp),
  logistic: (x) => x.map(logistic),
  exp: (x) => x.map(Math.exp),
  identity: (x) => x,
};

/** Replace the descriptions of the arrays of all layers by the arrays. */
function withArrays(model, bytes) {
  for (const { layers } of model.networks) {
    for (const layer of layers) {
      for (const name of Object.keys(layer.arrays)) {
        layer.arrays[name] = readArray(layer.arrays[name], bytes);
      }
    }
  }
  return model;
}

/** Return the logits of one network; seen(layer, outputs) is called after each layer. */
function logitsOf(layers, x, seen = () => {}) {
  let rows = [Float64Array.from(x)];
  for (const layer of layers) {
    rows = LAYERS[layer.kind](rows, layer);
    seen(layer, rows[0]);
  }
  return rows[0];
}

/**
 * Predict one sample: probabilities or values, the weighted mean over the networks.
 *
 * seen(layer, outputs) is called after each layer of the first network.
 */
function predict(model, x, seen) {
  const mean = new Float64Array(model.outputs.length);
  model.networks.forEach(({ share, layers }, member) => {
    const logits = logitsOf(layers, x, member === 0 ? seen : undefined);
    const predicted = LINKS[model.link](logits);
    if (model.two_classes) mean[0] += share * (1 - predicted[0]);
    predicted.forEach((value, j) => (mean[model.two_classes ? 1 : j] += share * value));
  });
  return model.target ? inUnits(mean, model.target) : mean;
}

/** Return standardised values in the units of the table. */
function inUnits(values, { mean, scale, bounds }) {
  const [least, most] = bounds ?? [-Infinity, Infinity];
  return values.map((value) => Math.min(Math.max(value * scale + mean, least), most));
}
