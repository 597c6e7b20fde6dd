/**
 * Checks a value against a JSON Schema: the keywords that the manifest's schema uses, and no others.
 *
 * The schema is the file that the desk's and the agent's checks are made from. A keyword that is not known
 * here is an error, so that a later schema is never checked by halves.
 */

/** A value that the schema refuses; the message begins with its place. */
export class SchemaError extends Error {}

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Schema = Readonly<Record<string, unknown>>;

/** Words for people, and what other keywords read. */
const SILENT = new Set(["$schema", "$id", "$defs", "title", "description", "default", "then"]);

/** Check `value` against a schema whose `$ref`s name its own `$defs`. Throws SchemaError. */
export function validate(schema: Schema, value: unknown, name: string): void {
  new Validator(schema.$defs as Readonly<Record<string, Schema>>).check(schema, value as Json, name);
}

// biome-ignore lint/suspicious/noExplicitAny: a rule is what the keyword says it is
type Rule = (rule: any, value: Json, place: string, all: Schema) => void;

class Validator {
  private readonly patterns = new Map<string, RegExp>();

  constructor(private readonly definitions: Readonly<Record<string, Schema>>) {}

  check(schema: Schema, value: Json, place: string): void {
    for (const [keyword, rule] of Object.entries(schema)) {
      if (SILENT.has(keyword)) continue;
      const test = this.rules[keyword];
      if (test === undefined) throw new TypeError(`The schema's keyword ${keyword} is not known here.`);
      test(rule, value, place, schema);
    }
  }

  private fits(schema: Schema, value: Json, place: string): boolean {
    try {
      this.check(schema, value, place);
      return true;
    } catch (error) {
      if (error instanceof SchemaError) return false;
      throw error;
    }
  }

  private readonly rules: Readonly<Record<string, Rule>> = {
    $ref: (rule: string, value, place) =>
      this.check(this.definitions[rule.slice(rule.lastIndexOf("/") + 1)] as Schema, value, place),
    type: (rule: string, value, place) => {
      if (!isOf(rule, value)) throw new SchemaError(`${place} must be ${rule}`);
    },
    const: (rule: Json, value, place) => {
      if (value !== rule) throw new SchemaError(`${place} must be ${JSON.stringify(rule)}`);
    },
    enum: (rule: readonly Json[], value, place) => {
      if (!rule.includes(value)) throw new SchemaError(`${place} must be one of ${JSON.stringify(rule)}`);
    },
    anyOf: (rule: readonly Schema[], value, place) => {
      if (!rule.some((schema) => this.fits(schema, value, place)))
        throw new SchemaError(`${place} is none of the kinds that it may be`);
    },
    allOf: (rule: readonly Schema[], value, place) => {
      for (const schema of rule) this.check(schema, value, place);
    },
    if: (rule: Schema, value, place, all) => {
      if (this.fits(rule, value, place)) this.check(all.then as Schema, value, place);
    },
    minimum: (rule: number, value, place) => {
      if (typeof value === "number" && !(value >= rule))
        throw new SchemaError(`${place} must be at least ${rule}`);
    },
    maximum: (rule: number, value, place) => {
      if (typeof value === "number" && !(value <= rule))
        throw new SchemaError(`${place} must be at most ${rule}`);
    },
    exclusiveMinimum: (rule: number, value, place) => {
      if (typeof value === "number" && !(value > rule))
        throw new SchemaError(`${place} must be above ${rule}`);
    },
    // Characters are counted as the desk counts them: an emoji is one.
    minLength: (rule: number, value, place) => {
      if (typeof value === "string" && [...value].length < rule)
        throw new SchemaError(`${place} is too short`);
    },
    maxLength: (rule: number, value, place) => {
      if (typeof value === "string" && [...value].length > rule)
        throw new SchemaError(`${place} is too long`);
    },
    pattern: (rule: string, value, place) => {
      if (typeof value === "string" && !this.pattern(rule).test(value))
        throw new SchemaError(`${place} must match ${rule}`);
    },
    items: (rule: Schema, value, place) => {
      if (!Array.isArray(value)) return;
      for (const [i, item] of value.entries()) this.check(rule, item, `${place}[${i}]`);
    },
    minItems: (rule: number, value, place) => {
      if (Array.isArray(value) && value.length < rule) throw new SchemaError(`${place} has too few items`);
    },
    maxItems: (rule: number, value, place) => {
      if (Array.isArray(value) && value.length > rule) throw new SchemaError(`${place} has too many items`);
    },
    required: (rule: readonly string[], value, place) => {
      const lacking = isObject(value) ? rule.find((key) => !Object.hasOwn(value, key)) : undefined;
      if (lacking !== undefined) throw new SchemaError(`${place} lacks ${lacking}`);
    },
    properties: (rule: Readonly<Record<string, Schema>>, value, place) => {
      if (!isObject(value)) return;
      for (const [key, schema] of Object.entries(rule))
        if (Object.hasOwn(value, key)) this.check(schema, value[key] as Json, `${place}.${key}`);
    },
    additionalProperties: (rule: false | Schema, value, place, all) => {
      if (!isObject(value)) return;
      const known = (all.properties ?? {}) as Schema;
      for (const [key, item] of Object.entries(value)) {
        if (Object.hasOwn(known, key)) continue;
        if (rule === false) throw new SchemaError(`${place} must not have ${key.slice(0, 80)}`);
        this.check(rule, item, `${place}.${key}`);
      }
    },
    propertyNames: (rule: Schema, value, place) => {
      if (isObject(value)) for (const key of Object.keys(value)) this.check(rule, key, `${place}'s key`);
    },
    minProperties: (rule: number, value, place) => {
      if (isObject(value) && Object.keys(value).length < rule) throw new SchemaError(`${place} is too small`);
    },
    maxProperties: (rule: number, value, place) => {
      if (isObject(value) && Object.keys(value).length > rule) throw new SchemaError(`${place} is too large`);
    },
  };

  private pattern(rule: string): RegExp {
    const known = this.patterns.get(rule);
    if (known !== undefined) return known;
    const made = new RegExp(rule, "u");
    this.patterns.set(rule, made);
    return made;
  }
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOf(type: string, value: Json): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "object":
      return isObject(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    case "number":
      return Number.isFinite(value);
    default:
      // The schema names the remaining types as JavaScript does.
      return typeof value === type;
  }
}
