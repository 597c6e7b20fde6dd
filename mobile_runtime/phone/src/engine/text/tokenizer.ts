/**
 * Prompts to token ids. What a prompt goes through (case, end token) is written in the bundle's
 * tokenizer.json.
 */

import { Tokenizer } from "@huggingface/tokenizers";
import { BundleError, firstLine } from "../errors";

/** Ids and mask of one prompt, both [1, maxTokens]; the mask is 1 on tokens and 0 on padding. */
export interface Encoded {
  readonly ids: BigInt64Array;
  readonly mask: BigInt64Array;
}

/** A tokenizer that cuts and pads to a fixed length on the right. */
export class PromptTokenizer {
  private readonly tokenizer: Tokenizer;
  private readonly byteFallback: boolean;

  /** Take the bytes of a tokenizer.json. Throws BundleError when they are not one. */
  constructor(
    data: Uint8Array,
    private readonly maxTokens: number,
    private readonly padId: number,
  ) {
    try {
      const file = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
      this.tokenizer = new Tokenizer(file, {});
      this.byteFallback = file.model.type === "Unigram" && file.model.byte_fallback === true;
    } catch (error) {
      throw new BundleError(`The bundle's tokenizer cannot be read (${firstLine(error)}); export it again.`);
    }
    // The library leaves bytes to the other kinds of model, and would drop all but the first of unknown
    // letters.
    if (this.byteFallback && this.tokenizer.model) this.tokenizer.model.fuse_unk = false;
  }

  encode(prompt: string): Encoded {
    const found = this.cut(prompt);
    const ids = new BigInt64Array(this.maxTokens).fill(BigInt(this.padId));
    const mask = new BigInt64Array(this.maxTokens);
    found.forEach((id, i) => {
      ids[i] = BigInt(id);
      mask[i] = 1n;
    });
    return { ids, mask };
  }

  /** Cuts before the tokens that the post-processor adds, so a long prompt keeps its end token. */
  private cut(prompt: string): number[] {
    const { model } = this.tokenizer;
    const bare = this.tokenizer
      .tokenize(prompt, { add_special_tokens: false })
      .flatMap((token) => (this.byteFallback ? this.known(token) : [token]));
    const close = (tokens: string[]) => this.tokenizer.post_processor?.(tokens, null, true).tokens ?? tokens;
    const room = this.maxTokens - close([]).length;
    const added = new Map<string, number>();
    for (const [id, token] of this.tokenizer.get_added_tokens_decoder()) added.set(token.content, id);
    return close(bare.slice(0, Math.max(room, 0)))
      .slice(0, this.maxTokens)
      .map(
        (token) => added.get(token) ?? model?.tokens_to_ids.get(token) ?? model?.unk_token_id ?? this.padId,
      );
  }

  /** A token of the vocabulary, or the tokens of its bytes where the vocabulary has them. */
  private known(token: string): string[] {
    if (this.tokenizer.token_to_id(token) !== undefined) return [token];
    const bytes = Array.from(
      new TextEncoder().encode(token),
      (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    );
    return bytes.every((byte) => this.tokenizer.token_to_id(byte) !== undefined) ? bytes : [token];
  }
}
