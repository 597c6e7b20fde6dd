// Generated from manifest.schema.json by generate.py: edit the schema, then run the command.

export type Path = string;

export type Name = string;

export type TensorName = string;

export type Sha256 = string;

export type Seed = string;

/** The value of an input that the user may edit. */
export interface InputRef {
  readonly input: Name;
}

/** The result of an earlier op of the plan. */
export interface OpRef {
  readonly op: Name;
}

export type TextValue = string | InputRef;

export type SeedValue = Seed | InputRef;

export type StepsValue = number | InputRef;

export type NumberValue = number | InputRef;

export type ImageValue = Path | InputRef;

export type OptionalOpRef = null | OpRef;

/** A text, for example a prompt. */
export interface TextInput {
  readonly type: "text";
  readonly label: string;
  readonly default: string;
  readonly max_length: number;
}

/** A seed of the initial noise. */
export interface SeedInput {
  readonly type: "seed";
  readonly label?: string;
  readonly default: Seed;
}

/** A whole number with bounds. */
export interface IntegerInput {
  readonly type: "integer";
  readonly label: string;
  readonly default: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** A number with bounds. */
export interface NumberInput {
  readonly type: "number";
  readonly label: string;
  readonly default: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** A photo; the default is a file of the bundle. Width and height are what the plan resizes it to, in pixels. */
export interface ImageInput {
  readonly type: "image";
  readonly label: string;
  readonly width: number;
  readonly height: number;
  readonly default: Path;
}

export type Input = TextInput | SeedInput | IntegerInput | NumberInput | ImageInput;

/** ComfyUI's sigma schedule by name, for a rectified flow with this shift; denoise < 1 runs only its end. The steps from start to end run; finish makes an early end 0, and until replaces the sigmas at or below it by itself. */
export interface NamedSchedule {
  readonly name: "simple" | "normal" | "sgm_uniform" | "beta" | "linear_quadratic" | "kl_optimal" | "karras" | "exponential" | "ddim_uniform";
  readonly steps: StepsValue;
  readonly shift: number;
  readonly denoise: number;
  readonly multiplier: number;
  readonly curve?: "flow" | "flux";
  readonly drop_penultimate?: boolean;
  readonly start?: number;
  readonly end?: number;
  readonly finish?: boolean;
  readonly until?: number;
}

/** ComfyUI's LTXVScheduler for a latent of that many cells (tokens); start, end and finish as in a named schedule. */
export interface LtxvSchedule {
  readonly name: "ltxv";
  readonly steps: StepsValue;
  readonly tokens: number;
  readonly max_shift: number;
  readonly base_shift: number;
  readonly stretch: boolean;
  readonly terminal: number;
  readonly multiplier: number;
  readonly start?: number;
  readonly end?: number;
  readonly finish?: boolean;
  readonly until?: number;
}

/** Sigmas as they are, falling; start, end and finish as in a named schedule. */
export interface ManualSchedule {
  readonly name: "manual";
  readonly sigmas: readonly (number)[];
  readonly multiplier: number;
  readonly start?: number;
  readonly end?: number;
  readonly finish?: boolean;
  readonly until?: number;
}

export type Schedule = NamedSchedule | LtxvSchedule | ManualSchedule;

/** Leap once the drift's similarity from step to step has not risen by more than tolerance above its best for patience measurements, and not before the fraction minimum of the steps. */
export interface AdaptiveLeap {
  readonly mode: "adaptive";
  readonly minimum: number;
  readonly tolerance: number;
  readonly patience: number;
}

/** Leap at a step, counted from 0; at the last one or behind it there is no leap. */
export interface FixedLeap {
  readonly mode: "fixed";
  readonly step: number;
}

export type Leap = AdaptiveLeap | FixedLeap;

/** Merge every token of frame pairs with its place in the next frame. */
export interface PairMerge {
  readonly mode: "pairs";
  readonly component: Name;
  readonly begin?: number;
  readonly end: number;
  readonly keep_first_frame: boolean;
}

/** Merge the most similar token pairs of frame pairs, share of them. */
export interface SimilarMerge {
  readonly mode: "similar";
  readonly component: Name;
  readonly begin?: number;
  readonly end: number;
  readonly keep_first_frame: boolean;
  readonly share: number;
}

export type Merge = PairMerge | SimilarMerge;

/** Prompt to text features. */
export interface EncodeText {
  readonly id: Name;
  readonly op: "encode_text";
  readonly component: Name;
  readonly text: TextValue;
}

/** Text features that were encoded on the desk, from a safetensors file: context [1, L, D] and mask [1, L], float32. */
export interface LoadText {
  readonly id: Name;
  readonly op: "load_text";
  readonly features: Path;
}

/** Text features of zeros in the shape of others (ComfyUI's ConditioningZeroOut); keep_mask keeps their mask, else it is zero, too. */
export interface ZeroText {
  readonly id: Name;
  readonly op: "zero_text";
  readonly text: OpRef;
  readonly keep_mask: boolean;
}

/** What follows the photo of a clip: component encodes each of pieces times frames grey frames, with what came before, to one more latent frame. */
export interface Later {
  readonly component: Name;
  readonly pieces: number;
  readonly frames: number;
}

/** Photo to the latent of one frame: centre crop and bilinear resize to width x height pixels, then the VAE encoder. With later, to the latent of a clip that begins with the photo and goes on in grey. */
export interface EncodeImage {
  readonly id: Name;
  readonly op: "encode_image";
  readonly component: Name;
  readonly image: ImageValue;
  readonly width: number;
  readonly height: number;
  readonly later?: Later;
}

/** Standard normal noise of torch's CPU generator; shape is [B, C, F, H, W]. */
export interface Noise {
  readonly id: Name;
  readonly op: "noise";
  readonly seed: SeedValue;
  readonly shape: readonly (number)[];
}

/** What a network that reads more channels than it makes reads besides the latent: first a mask, 1 in the latent's frame 0 and 0 after, of so many channels that all are channels, then latent; zeros where latent is left out. */
export interface Given {
  readonly channels: number;
  readonly latent?: OpRef;
}

/** The sampling loop over a noised latent; first_frame keeps frame 0 of the latent as given, keep_first_frame as latent has it; leap ends the loop early, merge names a twin for a window of sigmas; frame_rate is told to networks that read it; the sampler renoise draws the noise of its steps from renoise_seed + 1. */
export interface Denoise {
  readonly id: Name;
  readonly op: "denoise";
  readonly component: Name;
  readonly noise: OptionalOpRef;
  readonly latent?: OptionalOpRef;
  readonly keep_first_frame?: boolean;
  readonly positive: OpRef;
  readonly negative: OptionalOpRef;
  readonly guidance: NumberValue;
  readonly first_frame: OptionalOpRef;
  readonly motion: NumberValue;
  readonly sampler: "euler" | "heun" | "dpm_2" | "dpmpp_2m" | "res_multistep" | "gradient_estimation" | "ddim" | "uni_pc" | "uni_pc_bh2" | "renoise";
  readonly renoise_seed?: SeedValue;
  readonly schedule: Schedule;
  readonly leap?: Leap;
  readonly merge?: Merge;
  readonly frame_rate?: number;
  readonly given?: Given;
}

/** Overlapping pieces of a latent, decoded one by one and blended (ComfyUI's VAEDecodeTiled). size and overlap are [frames, height, width] in latent cells; scale is what one cell becomes. */
export interface Tiles {
  readonly size: readonly (number)[];
  readonly overlap: readonly (number)[];
  readonly scale: readonly (number)[];
}

/** Latent to frames; with next, component decodes the first latent frame and next every later one, with what came before. */
export interface Decode {
  readonly id: Name;
  readonly op: "decode";
  readonly component: Name;
  readonly latent: OpRef;
  readonly tiles?: Tiles;
  readonly next?: Name;
}

/** An animated WebP instead of an MP4; effort is libwebp's method, 0 (fast) to 6. */
export interface Webp {
  readonly lossless: boolean;
  readonly quality: number;
  readonly effort: number;
}

/** Frames to an MP4 file, or to an animated WebP. */
export interface WriteVideo {
  readonly id: Name;
  readonly op: "write_video";
  readonly frames: OpRef;
  readonly fps: number;
  readonly webp?: Webp;
}

export type Op = EncodeText | LoadText | ZeroText | EncodeImage | Noise | Denoise | Decode | WriteVideo;

/** One graph run with one file of weights. */
export interface Stage {
  readonly graph: Name;
  readonly weights: Path;
  readonly precision?: "fp32" | "fp16" | "int8" | "int4";
}

/** A linear map from latent channels to red, green, blue in [-1, 1], for small previews. */
export interface LatentRgb {
  readonly factors: readonly (readonly (number)[])[];
  readonly bias: readonly (number)[];
}

/** A network: graphs, and the stages that run them in order with their weights. */
export interface Component {
  readonly kind: "text_encoder" | "denoiser" | "vae_encoder" | "vae_decoder";
  readonly tokenizer?: Path;
  readonly max_tokens?: number;
  readonly pad_id?: number;
  readonly latent_rgb?: LatentRgb;
  readonly graphs: Readonly<Record<string, Path>>;
  readonly stages: readonly (Stage)[];
  readonly inputs: readonly (TensorName)[];
  readonly outputs: readonly (TensorName)[];
}

/** A file of the bundle. */
export interface File {
  readonly path: Path;
  readonly sha256: Sha256;
  readonly bytes: number;
}

/** What a run needs, in bytes. */
export interface Memory {
  readonly weights: number;
  readonly largest_stage: number;
  readonly activations_estimate: number;
}

/** The least PSNR in dB that a component's outputs must reach against the recorded ones. */
export interface Tolerance {
  readonly min_psnr: number;
}

/** Seeded inputs and expected outputs, tensors <component>.in.<name> and <component>.out.<name>. */
export interface SelfTest {
  readonly file: Path;
  readonly components: Readonly<Record<string, Tolerance>>;
}

/** A PocketVideo bundle: a compiled video workflow that runs on a device, with a digest of every file. */
export interface Manifest {
  readonly format: "pocketvideo-bundle";
  readonly version: 1;
  readonly name: string;
  readonly created_by: string;
  readonly license: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly plan: readonly (Op)[];
  readonly components: Readonly<Record<string, Component>>;
  readonly files: readonly (File)[];
  readonly memory: Memory;
  readonly self_test: SelfTest;
  readonly workflow: Path;
}
