// A hundred thousand marks in a few milliseconds: they are stamped into arrays of bytes, and go to the canvas at once.
// Where marks of one colour lie over each other, the place gets darker.

const MARGIN = 16; // pixels around the picture, so that a mark at its edge needs no test for each of its pixels
const SUB = 4; // samples along each side of a pixel, for smooth edges

/** The shapes a stamp can have; which of them means what, `scatter_scene.js` says. */
export const DISC = 0;
export const RING = 1;
export const SQUARE = 2;
export const DIAMOND = 3;
export const CROSS = 4;

/** Pixels of `width` x `height` that marks are stamped into. */
export function createRaster(width, height) {
  const stride = width + 2 * MARGIN;
  const cover = new Uint8Array(stride * (height + 2 * MARGIN));
  const tint = new Uint8Array(cover.length);
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  const stamps = new Map();

  function stampOf(shape, radius) {
    const key = `${shape} ${radius}`;
    if (!stamps.has(key)) stamps.set(key, makeStamp(shape, Math.min(radius, MARGIN - 2), stride));
    return stamps.get(key);
  }

  /** Stamp `rows`: `places` {xs, ys (laid-out), across, right, up, down}: pixel = value * across + right, and the
   *  same upwards; `looks` by row an index into `table` [{shape, radius}]; `tints` by row a colour, or one for all;
   *  `share` of the paper that a mark covers, 0 to 1; `gathers`: marks of one colour over each other cover more. */
  function stamp(rows, places, looks, table, tints, { share, gathers }) {
    const { xs, ys, across, right, up, down } = places;
    const drawn = table.map(({ shape, radius }) => stampOf(shape, radius));
    const strength = Math.round(share * 256);
    const only = typeof tints === "number" ? tints : -1;
    for (let place = 0; place < rows.length; place += 1) {
      const row = rows[place];
      const px = Math.round(xs[row] * across + right);
      const py = Math.round(ys[row] * up + down);
      const { offsets, weights, reach } = drawn[looks[row]];
      const room = MARGIN - reach;
      if (!(px >= -room && px < width + room && py >= -room && py < height + room)) continue;
      const centre = (py + MARGIN) * stride + px + MARGIN;
      const colour = only < 0 ? tints[row] : only;
      for (let each = 0; each < offsets.length; each += 1) {
        const at = centre + offsets[each];
        const weight = (weights[each] * strength) >> 8;
        if (tint[at] !== colour) {
          if (!gathers && weight < cover[at] >> 1) continue;
          tint[at] = colour;
          cover[at] = weight;
        } else if (gathers) {
          const sum = cover[at] + (((255 - cover[at]) * weight) >> 8);
          cover[at] = sum;
        } else if (weight > cover[at]) {
          cover[at] = weight;
        }
      }
    }
  }

  /** Put everything that was stamped on a canvas' context; `colours` by tint [red, green, blue]. */
  function show(context, colours) {
    const packed = Uint32Array.from(colours, ([red, green, blue]) => (blue << 16) | (green << 8) | red);
    for (let y = 0, to = 0; y < height; y += 1) {
      let from = (y + MARGIN) * stride + MARGIN;
      for (const end = to + width; to < end; to += 1, from += 1) {
        const alpha = cover[from];
        words[to] = alpha === 0 ? 0 : (alpha << 24) | packed[tint[from]];
      }
    }
    context.putImageData(image, 0, 0);
  }

  function clear() {
    cover.fill(0);
    tint.fill(0);
  }

  return { width, height, stamp, show, clear };
}

function makeStamp(shape, radius, stride) {
  const reach = Math.ceil(radius);
  const [offsets, weights] = [[], []];
  for (let y = -reach; y <= reach; y += 1) {
    for (let x = -reach; x <= reach; x += 1) {
      let hits = 0;
      for (let sample = 0; sample < SUB * SUB; sample += 1) {
        const dx = x + ((sample % SUB) + 0.5) / SUB - 0.5;
        const dy = y + (Math.floor(sample / SUB) + 0.5) / SUB - 0.5;
        if (covers(shape, dx, dy, radius)) hits += 1;
      }
      if (hits === 0) continue;
      offsets.push(y * stride + x);
      weights.push(Math.round((255 * hits) / (SUB * SUB)));
    }
  }
  return { offsets: Int32Array.from(offsets), weights: Uint8Array.from(weights), reach };
}

function covers(shape, dx, dy, radius) {
  const [x, y] = [Math.abs(dx), Math.abs(dy)];
  const stroke = Math.max(0.35 * radius, 0.6);
  if (shape === SQUARE) return Math.max(x, y) <= 0.86 * radius;
  if (shape === DIAMOND) return x + y <= 1.2 * radius;
  if (shape === CROSS) return Math.abs(x - y) <= 0.75 * stroke && Math.max(x, y) <= 0.86 * radius;
  const distance = Math.hypot(dx, dy);
  return distance <= radius && (shape === DISC || distance >= radius - stroke);
}
