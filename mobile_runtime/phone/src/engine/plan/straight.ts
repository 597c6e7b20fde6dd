/**
 * A picture's colours as they are stored, below its transparency too.
 *
 * A 2D canvas keeps colours multiplied by their alpha and loses those of what is transparent. A WebGL texture takes
 * them as the decoder gives them, and reading it back needs no drawing.
 */

// Smaller than the largest texture of any phone, and little memory at a time.
const TILE = 2048;

/**
 * The RGBA of a bitmap that was made with `premultiplyAlpha: "none"`; null where the browser lends no WebGL.
 */
export async function straightColours(image: ImageBitmap): Promise<Uint8ClampedArray<ArrayBuffer> | null> {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (gl === null) return null;
  const { width, height } = image;
  const made = new Uint8ClampedArray(width * height * 4);
  try {
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    for (let y = 0; y < height; y += TILE) {
      for (let x = 0; x < width; x += TILE) {
        const [columns, rows] = [Math.min(TILE, width - x), Math.min(TILE, height - y)];
        const tile = await createImageBitmap(image, x, y, columns, rows, { premultiplyAlpha: "none" });
        const part = read(gl, tile);
        tile.close();
        if (part === null) return null;
        for (let row = 0; row < rows; row++)
          made.set(part.subarray(row * columns * 4, (row + 1) * columns * 4), ((y + row) * width + x) * 4);
      }
    }
    return made;
  } finally {
    // A page may hold only a few contexts, and the collector is in no hurry.
    gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function read(gl: WebGL2RenderingContext, tile: ImageBitmap): Uint8Array | null {
  const { width, height } = tile;
  const pixels = new Uint8Array(width * height * 4);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, tile);
  const texture = gl.getParameter(gl.TEXTURE_BINDING_2D);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  // A context that is lost answers everything with nothing.
  return gl.getError() === gl.NO_ERROR && !gl.isContextLost() ? pixels : null;
}
