/** Pictures from bytes: blobs that are shown, frames that are drawn, and a pattern where there is neither. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { PreviewImage } from "../../engine";

/** An address for a blob while the component is on the screen. */
export function useBlobUrl(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!blob) {
      setUrl(null);
      return;
    }
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}

export function Picture({ blob, alt }: { blob: Blob; alt: string }) {
  const url = useBlobUrl(blob);
  return url ? <img src={url} alt={alt} /> : null;
}

/** A frame of pixels, enlarged by the style sheet. */
export function Preview({ image, label }: { image: PreviewImage; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    context?.putImageData(new ImageData(image.data, image.width, image.height), 0, 0);
  }, [image]);
  return (
    <canvas
      ref={canvas}
      class="preview"
      width={image.width}
      height={image.height}
      role="img"
      aria-label={label}
    />
  );
}

/** A colour field of a workflow's own, until it has a picture. */
export function Pattern({ seed, name }: { seed: string; name: string }) {
  // From blue over violet to rose: the colours of the app.
  const hue = 215 + (Number.parseInt(seed.slice(0, 4), 16) % 120);
  return (
    <div class="pattern" style={{ "--hue": String(hue) }} aria-hidden="true">
      <span>{[...name.trim()][0]?.toUpperCase() ?? ""}</span>
    </div>
  );
}
