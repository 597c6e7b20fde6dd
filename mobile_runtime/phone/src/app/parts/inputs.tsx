/** What a person may change of a workflow: one field for each input of its manifest. */

import { useId } from "preact/hooks";
import type { InputValue } from "../../engine";
import type { Input } from "../../storage/manifest";
import { language, t } from "../words";
import { Icon } from "./icons";
import { Picture } from "./picture";

export interface FieldProps<T extends Input> {
  readonly name: string;
  readonly input: T;
  readonly value: InputValue;
  onChange(value: InputValue): void;
}

type Of<K extends Input["type"]> = Extract<Input, { readonly type: K }>;

// Above this many positions a slider cannot be set with a finger.
const MOST_POSITIONS = 200;

export function Field({ name, input, value, own, onChange }: FieldProps<Input> & { own: Blob | null }) {
  switch (input.type) {
    case "text":
      return <TextField {...{ name, input, value, onChange }} />;
    case "seed":
      return <SeedField {...{ name, input, value, onChange }} />;
    case "integer":
    case "number":
      return <NumberField {...{ name, input, value, onChange }} />;
    case "image":
      return <PhotoField {...{ name, input, value, own, onChange }} />;
  }
}

function TextField({ name, input, value, onChange }: FieldProps<Of<"text">>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{input.label}</label>
      <textarea
        id={id}
        name={name}
        rows={String(value).length > 90 ? 4 : 2}
        maxLength={input.max_length}
        value={String(value)}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </div>
  );
}

function SeedField({ name, input, value, onChange }: FieldProps<Of<"seed">>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{input.label ?? t("form_seed")}</label>
      <div class="beside">
        <input
          id={id}
          name={name}
          inputMode="numeric"
          autocomplete="off"
          maxLength={20}
          value={String(value)}
          onInput={(event) => onChange(event.currentTarget.value.replaceAll(/\D/g, ""))}
        />
        <button type="button" class="square" aria-label={t("form_dice")} onClick={() => onChange(roll())}>
          <Icon name="dice" />
        </button>
      </div>
    </div>
  );
}

function NumberField({ name, input, value, onChange }: FieldProps<Of<"integer"> | Of<"number">>) {
  const id = useId();
  const whole = input.type === "integer";
  const span = input.maximum - input.minimum;
  const step = whole ? 1 : niceStep(span);
  const number = Number(value);
  const shown = new Intl.NumberFormat(language.value, { maximumFractionDigits: 3 }).format(number);
  const common = {
    id,
    name,
    min: input.minimum,
    max: input.maximum,
    step: whole ? 1 : "any",
    value: String(number),
    onInput: (event: { currentTarget: HTMLInputElement }) => {
      const typed = event.currentTarget.valueAsNumber;
      if (Number.isFinite(typed)) onChange(whole ? Math.round(typed) : typed);
    },
  };
  return (
    <div class="field">
      <label for={id}>
        {input.label}
        <output for={id}>{shown}</output>
      </label>
      {span / step <= MOST_POSITIONS ? (
        <input type="range" {...common} step={step} />
      ) : (
        <input type="number" inputMode={whole ? "numeric" : "decimal"} {...common} />
      )}
    </div>
  );
}

function PhotoField({ name, input, value, own, onChange }: FieldProps<Of<"image">> & { own: Blob | null }) {
  const chosen = value instanceof Blob ? value : null;
  const shown = chosen ?? own;
  const pick = (event: { currentTarget: HTMLInputElement }) => {
    const file = event.currentTarget.files?.[0];
    if (file) onChange(file);
    // The same photo may be chosen again later.
    event.currentTarget.value = "";
  };
  // Named kinds make a phone convert what only it can read (HEIC).
  const accept = "image/jpeg,image/png,image/webp";
  return (
    <fieldset class="field photo">
      <legend>{input.label}</legend>
      <div class="photo-shown" style={{ aspectRatio: `${input.width} / ${input.height}` }}>
        {shown && <Picture blob={shown} alt={input.label} />}
      </div>
      <div class="row">
        <label class="button">
          <Icon name="camera" />
          {t("form_photo_take")}
          <input type="file" name={`${name}-camera`} accept={accept} capture="environment" onChange={pick} />
        </label>
        <label class="button">
          <Icon name="image" />
          {t("form_photo_choose")}
          <input type="file" name={name} accept={accept} onChange={pick} />
        </label>
        {chosen && (
          <button
            type="button"
            class="square"
            aria-label={t("form_photo_reset")}
            onClick={() => onChange(input.default)}
          >
            <Icon name="reset" />
          </button>
        )}
      </div>
    </fieldset>
  );
}

/** A seed that a person can read aloud: nine digits. */
function roll(): string {
  return String(Math.floor(Math.random() * 1e9));
}

/** A step of 1, 2 or 5 times a power of ten that gives at most a hundred positions. */
export function niceStep(span: number): number {
  const rough = span / 100;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * 0.999) ?? rough;
}
