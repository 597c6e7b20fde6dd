/** A bundle's manifest: its types, made from the schema that the desk and the agent check it with. */

export type * from "./manifest.generated";
