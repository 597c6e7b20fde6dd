"""Generated from manifest.schema.json by generate.py: edit the schema, then run the command."""
# fmt: off
# ruff: noqa
# mypy: ignore-errors


class SchemaError(ValueError):
    """A value that the schema refuses; the message begins with its place."""


from decimal import Decimal
import re


REGEX_PATTERNS = {
    '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$': re.compile('^[A-Za-z_][A-Za-z0-9_.-]{0,63}\\Z'),
    '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}){0,7}$': re.compile('^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}){0,7}\\Z'),
    '^[0-9a-f]{64}$': re.compile('^[0-9a-f]{64}\\Z'),
    '^[A-Za-z_][A-Za-z0-9_.-]{0,127}$': re.compile('^[A-Za-z_][A-Za-z0-9_.-]{0,127}\\Z'),
    '^(0|[1-9][0-9]{0,19})$': re.compile('^(0|[1-9][0-9]{0,19})\\Z')
}

NoneType = type(None)

def validate(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['format', 'version', 'name', 'created_by', 'license', 'inputs', 'plan', 'components', 'files', 'memory', 'self_test', 'workflow']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "format" in data_keys:
            data_keys.remove("format")
            data__format = data["format"]
            if not (isinstance(data__format, str) and data__format == 'pocketvideo-bundle'):
                raise SchemaError("" + (name_prefix or "data") + ".format must be same as const definition: pocketvideo-bundle")
        if "version" in data_keys:
            data_keys.remove("version")
            data__version = data["version"]
            if not (isinstance(data__version, (int, float)) and not isinstance(data__version, bool) and data__version == 1):
                raise SchemaError("" + (name_prefix or "data") + ".version must be same as const definition: 1")
        if "name" in data_keys:
            data_keys.remove("name")
            data__name = data["name"]
            if not isinstance(data__name, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".name must be string")
            if isinstance(data__name, str):
                data__name_len = len(data__name)
                if data__name_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".name must be longer than or equal to 1 characters")
                if data__name_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".name must be shorter than or equal to 200 characters")
        if "created_by" in data_keys:
            data_keys.remove("created_by")
            data__createdby = data["created_by"]
            if not isinstance(data__createdby, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".created_by must be string")
            if isinstance(data__createdby, str):
                data__createdby_len = len(data__createdby)
                if data__createdby_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".created_by must be longer than or equal to 1 characters")
                if data__createdby_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".created_by must be shorter than or equal to 200 characters")
        if "license" in data_keys:
            data_keys.remove("license")
            data__license = data["license"]
            if not isinstance(data__license, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".license must be string")
            if isinstance(data__license, str):
                data__license_len = len(data__license)
                if data__license_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".license must be shorter than or equal to 200 characters")
        if "inputs" in data_keys:
            data_keys.remove("inputs")
            data__inputs = data["inputs"]
            if not isinstance(data__inputs, (dict)):
                raise SchemaError("" + (name_prefix or "data") + ".inputs must be object")
            data__inputs_is_dict = isinstance(data__inputs, dict)
            if data__inputs_is_dict:
                data__inputs_len = len(data__inputs)
                if data__inputs_len > 64:
                    raise SchemaError("" + (name_prefix or "data") + ".inputs must contain less than or equal to 64 properties")
                data__inputs_keys = set(data__inputs.keys())
                for data__inputs_key in data__inputs_keys:
                    if data__inputs_key not in []:
                        data__inputs_value = data__inputs.get(data__inputs_key)
                        validate____defs_input(data__inputs_value, custom_formats, (name_prefix or "data") + ".inputs.{data__inputs_key}".format(**locals()))
                if data__inputs_len != 0:
                    data__inputs_property_names = True
                    for data__inputs_key in data__inputs:
                        try:
                            if isinstance(data__inputs_key, str):
                                if not REGEX_PATTERNS['^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'].search(data__inputs_key):
                                    raise SchemaError("" + (name_prefix or "data") + ".inputs must match pattern ^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")
                        except SchemaError:
                            data__inputs_property_names = False
                    if not data__inputs_property_names:
                        raise SchemaError("" + (name_prefix or "data") + ".inputs must be named by propertyName definition")
        if "plan" in data_keys:
            data_keys.remove("plan")
            data__plan = data["plan"]
            if not isinstance(data__plan, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".plan must be array")
            data__plan_is_list = isinstance(data__plan, (list, tuple))
            if data__plan_is_list:
                data__plan_len = len(data__plan)
                if data__plan_len > 256:
                    raise SchemaError("" + (name_prefix or "data") + ".plan must contain less than or equal to 256 items")
                for data__plan_x, data__plan_item in enumerate(data__plan):
                    validate____defs_op(data__plan_item, custom_formats, (name_prefix or "data") + ".plan[{data__plan_x}]".format(**locals()))
        if "components" in data_keys:
            data_keys.remove("components")
            data__components = data["components"]
            if not isinstance(data__components, (dict)):
                raise SchemaError("" + (name_prefix or "data") + ".components must be object")
            data__components_is_dict = isinstance(data__components, dict)
            if data__components_is_dict:
                data__components_len = len(data__components)
                if data__components_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".components must contain at least 1 properties")
                if data__components_len > 32:
                    raise SchemaError("" + (name_prefix or "data") + ".components must contain less than or equal to 32 properties")
                data__components_keys = set(data__components.keys())
                for data__components_key in data__components_keys:
                    if data__components_key not in []:
                        data__components_value = data__components.get(data__components_key)
                        validate____defs_component(data__components_value, custom_formats, (name_prefix or "data") + ".components.{data__components_key}".format(**locals()))
                if data__components_len != 0:
                    data__components_property_names = True
                    for data__components_key in data__components:
                        try:
                            if isinstance(data__components_key, str):
                                if not REGEX_PATTERNS['^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'].search(data__components_key):
                                    raise SchemaError("" + (name_prefix or "data") + ".components must match pattern ^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")
                        except SchemaError:
                            data__components_property_names = False
                    if not data__components_property_names:
                        raise SchemaError("" + (name_prefix or "data") + ".components must be named by propertyName definition")
        if "files" in data_keys:
            data_keys.remove("files")
            data__files = data["files"]
            if not isinstance(data__files, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".files must be array")
            data__files_is_list = isinstance(data__files, (list, tuple))
            if data__files_is_list:
                data__files_len = len(data__files)
                if data__files_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".files must contain at least 1 items")
                if data__files_len > 20000:
                    raise SchemaError("" + (name_prefix or "data") + ".files must contain less than or equal to 20000 items")
                for data__files_x, data__files_item in enumerate(data__files):
                    validate____defs_file(data__files_item, custom_formats, (name_prefix or "data") + ".files[{data__files_x}]".format(**locals()))
        if "memory" in data_keys:
            data_keys.remove("memory")
            data__memory = data["memory"]
            validate____defs_memory(data__memory, custom_formats, (name_prefix or "data") + ".memory")
        if "self_test" in data_keys:
            data_keys.remove("self_test")
            data__selftest = data["self_test"]
            validate____defs_selftest(data__selftest, custom_formats, (name_prefix or "data") + ".self_test")
        if "workflow" in data_keys:
            data_keys.remove("workflow")
            data__workflow = data["workflow"]
            validate____defs_path(data__workflow, custom_formats, (name_prefix or "data") + ".workflow")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_path(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (str)):
        raise SchemaError("" + (name_prefix or "data") + " must be string")
    if isinstance(data, str):
        data_len = len(data)
        if data_len > 240:
            raise SchemaError("" + (name_prefix or "data") + " must be shorter than or equal to 240 characters")
        if not REGEX_PATTERNS['^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}){0,7}$'].search(data):
            raise SchemaError("" + (name_prefix or "data") + " must match pattern ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}){0,7}$")
    return data

def validate____defs_selftest(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['file', 'components']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "file" in data_keys:
            data_keys.remove("file")
            data__file = data["file"]
            validate____defs_path(data__file, custom_formats, (name_prefix or "data") + ".file")
        if "components" in data_keys:
            data_keys.remove("components")
            data__components = data["components"]
            if not isinstance(data__components, (dict)):
                raise SchemaError("" + (name_prefix or "data") + ".components must be object")
            data__components_is_dict = isinstance(data__components, dict)
            if data__components_is_dict:
                data__components_len = len(data__components)
                if data__components_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".components must contain at least 1 properties")
                if data__components_len > 64:
                    raise SchemaError("" + (name_prefix or "data") + ".components must contain less than or equal to 64 properties")
                data__components_keys = set(data__components.keys())
                for data__components_key in data__components_keys:
                    if data__components_key not in []:
                        data__components_value = data__components.get(data__components_key)
                        validate____defs_tolerance(data__components_value, custom_formats, (name_prefix or "data") + ".components.{data__components_key}".format(**locals()))
                if data__components_len != 0:
                    data__components_property_names = True
                    for data__components_key in data__components:
                        try:
                            if isinstance(data__components_key, str):
                                if not REGEX_PATTERNS['^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'].search(data__components_key):
                                    raise SchemaError("" + (name_prefix or "data") + ".components must match pattern ^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")
                        except SchemaError:
                            data__components_property_names = False
                    if not data__components_property_names:
                        raise SchemaError("" + (name_prefix or "data") + ".components must be named by propertyName definition")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_tolerance(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['min_psnr']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "min_psnr" in data_keys:
            data_keys.remove("min_psnr")
            data__minpsnr = data["min_psnr"]
            if not isinstance(data__minpsnr, (int, float, Decimal)) or isinstance(data__minpsnr, bool):
                raise SchemaError("" + (name_prefix or "data") + ".min_psnr must be number")
            if isinstance(data__minpsnr, (int, float, Decimal)) and not isinstance(data__minpsnr, bool):
                if data__minpsnr < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".min_psnr must be bigger than or equal to 0")
                if data__minpsnr > 300:
                    raise SchemaError("" + (name_prefix or "data") + ".min_psnr must be smaller than or equal to 300")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_memory(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['weights', 'largest_stage', 'activations_estimate']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "weights" in data_keys:
            data_keys.remove("weights")
            data__weights = data["weights"]
            if not isinstance(data__weights, (int)) or isinstance(data__weights, bool):
                raise SchemaError("" + (name_prefix or "data") + ".weights must be integer")
            if isinstance(data__weights, (int, float, Decimal)) and not isinstance(data__weights, bool):
                if data__weights < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".weights must be bigger than or equal to 0")
                if data__weights > 1099511627776:
                    raise SchemaError("" + (name_prefix or "data") + ".weights must be smaller than or equal to 1099511627776")
        if "largest_stage" in data_keys:
            data_keys.remove("largest_stage")
            data__largeststage = data["largest_stage"]
            if not isinstance(data__largeststage, (int)) or isinstance(data__largeststage, bool):
                raise SchemaError("" + (name_prefix or "data") + ".largest_stage must be integer")
            if isinstance(data__largeststage, (int, float, Decimal)) and not isinstance(data__largeststage, bool):
                if data__largeststage < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".largest_stage must be bigger than or equal to 0")
                if data__largeststage > 1099511627776:
                    raise SchemaError("" + (name_prefix or "data") + ".largest_stage must be smaller than or equal to 1099511627776")
        if "activations_estimate" in data_keys:
            data_keys.remove("activations_estimate")
            data__activationsestimate = data["activations_estimate"]
            if not isinstance(data__activationsestimate, (int)) or isinstance(data__activationsestimate, bool):
                raise SchemaError("" + (name_prefix or "data") + ".activations_estimate must be integer")
            if isinstance(data__activationsestimate, (int, float, Decimal)) and not isinstance(data__activationsestimate, bool):
                if data__activationsestimate < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".activations_estimate must be bigger than or equal to 0")
                if data__activationsestimate > 1099511627776:
                    raise SchemaError("" + (name_prefix or "data") + ".activations_estimate must be smaller than or equal to 1099511627776")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_file(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['path', 'sha256', 'bytes']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "path" in data_keys:
            data_keys.remove("path")
            data__path = data["path"]
            validate____defs_path(data__path, custom_formats, (name_prefix or "data") + ".path")
        if "sha256" in data_keys:
            data_keys.remove("sha256")
            data__sha256 = data["sha256"]
            validate____defs_sha256(data__sha256, custom_formats, (name_prefix or "data") + ".sha256")
        if "bytes" in data_keys:
            data_keys.remove("bytes")
            data__bytes = data["bytes"]
            if not isinstance(data__bytes, (int)) or isinstance(data__bytes, bool):
                raise SchemaError("" + (name_prefix or "data") + ".bytes must be integer")
            if isinstance(data__bytes, (int, float, Decimal)) and not isinstance(data__bytes, bool):
                if data__bytes < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".bytes must be bigger than or equal to 0")
                if data__bytes > 68719476736:
                    raise SchemaError("" + (name_prefix or "data") + ".bytes must be smaller than or equal to 68719476736")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_sha256(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (str)):
        raise SchemaError("" + (name_prefix or "data") + " must be string")
    if isinstance(data, str):
        if not REGEX_PATTERNS['^[0-9a-f]{64}$'].search(data):
            raise SchemaError("" + (name_prefix or "data") + " must match pattern ^[0-9a-f]{64}$")
    return data

def validate____defs_component(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['kind', 'graphs', 'stages', 'inputs', 'outputs']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "kind" in data_keys:
            data_keys.remove("kind")
            data__kind = data["kind"]
            if not (isinstance(data__kind, str) and data__kind == 'text_encoder' or isinstance(data__kind, str) and data__kind == 'denoiser' or isinstance(data__kind, str) and data__kind == 'vae_encoder' or isinstance(data__kind, str) and data__kind == 'vae_decoder'):
                raise SchemaError("" + (name_prefix or "data") + ".kind must be one of ['text_encoder', 'denoiser', 'vae_encoder', 'vae_decoder']")
        if "tokenizer" in data_keys:
            data_keys.remove("tokenizer")
            data__tokenizer = data["tokenizer"]
            validate____defs_path(data__tokenizer, custom_formats, (name_prefix or "data") + ".tokenizer")
        if "max_tokens" in data_keys:
            data_keys.remove("max_tokens")
            data__maxtokens = data["max_tokens"]
            if not isinstance(data__maxtokens, (int)) or isinstance(data__maxtokens, bool):
                raise SchemaError("" + (name_prefix or "data") + ".max_tokens must be integer")
            if isinstance(data__maxtokens, (int, float, Decimal)) and not isinstance(data__maxtokens, bool):
                if data__maxtokens < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".max_tokens must be bigger than or equal to 1")
                if data__maxtokens > 8192:
                    raise SchemaError("" + (name_prefix or "data") + ".max_tokens must be smaller than or equal to 8192")
        if "pad_id" in data_keys:
            data_keys.remove("pad_id")
            data__padid = data["pad_id"]
            if not isinstance(data__padid, (int)) or isinstance(data__padid, bool):
                raise SchemaError("" + (name_prefix or "data") + ".pad_id must be integer")
            if isinstance(data__padid, (int, float, Decimal)) and not isinstance(data__padid, bool):
                if data__padid < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".pad_id must be bigger than or equal to 0")
                if data__padid > 2147483647:
                    raise SchemaError("" + (name_prefix or "data") + ".pad_id must be smaller than or equal to 2147483647")
        if "latent_rgb" in data_keys:
            data_keys.remove("latent_rgb")
            data__latentrgb = data["latent_rgb"]
            validate____defs_latentrgb(data__latentrgb, custom_formats, (name_prefix or "data") + ".latent_rgb")
        if "graphs" in data_keys:
            data_keys.remove("graphs")
            data__graphs = data["graphs"]
            if not isinstance(data__graphs, (dict)):
                raise SchemaError("" + (name_prefix or "data") + ".graphs must be object")
            data__graphs_is_dict = isinstance(data__graphs, dict)
            if data__graphs_is_dict:
                data__graphs_len = len(data__graphs)
                if data__graphs_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".graphs must contain at least 1 properties")
                if data__graphs_len > 64:
                    raise SchemaError("" + (name_prefix or "data") + ".graphs must contain less than or equal to 64 properties")
                data__graphs_keys = set(data__graphs.keys())
                for data__graphs_key in data__graphs_keys:
                    if data__graphs_key not in []:
                        data__graphs_value = data__graphs.get(data__graphs_key)
                        validate____defs_path(data__graphs_value, custom_formats, (name_prefix or "data") + ".graphs.{data__graphs_key}".format(**locals()))
                if data__graphs_len != 0:
                    data__graphs_property_names = True
                    for data__graphs_key in data__graphs:
                        try:
                            if isinstance(data__graphs_key, str):
                                if not REGEX_PATTERNS['^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'].search(data__graphs_key):
                                    raise SchemaError("" + (name_prefix or "data") + ".graphs must match pattern ^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")
                        except SchemaError:
                            data__graphs_property_names = False
                    if not data__graphs_property_names:
                        raise SchemaError("" + (name_prefix or "data") + ".graphs must be named by propertyName definition")
        if "stages" in data_keys:
            data_keys.remove("stages")
            data__stages = data["stages"]
            if not isinstance(data__stages, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".stages must be array")
            data__stages_is_list = isinstance(data__stages, (list, tuple))
            if data__stages_is_list:
                data__stages_len = len(data__stages)
                if data__stages_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".stages must contain at least 1 items")
                if data__stages_len > 4096:
                    raise SchemaError("" + (name_prefix or "data") + ".stages must contain less than or equal to 4096 items")
                for data__stages_x, data__stages_item in enumerate(data__stages):
                    validate____defs_stage(data__stages_item, custom_formats, (name_prefix or "data") + ".stages[{data__stages_x}]".format(**locals()))
        if "inputs" in data_keys:
            data_keys.remove("inputs")
            data__inputs = data["inputs"]
            if not isinstance(data__inputs, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".inputs must be array")
            data__inputs_is_list = isinstance(data__inputs, (list, tuple))
            if data__inputs_is_list:
                data__inputs_len = len(data__inputs)
                if data__inputs_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".inputs must contain at least 1 items")
                if data__inputs_len > 64:
                    raise SchemaError("" + (name_prefix or "data") + ".inputs must contain less than or equal to 64 items")
                for data__inputs_x, data__inputs_item in enumerate(data__inputs):
                    validate____defs_tensorname(data__inputs_item, custom_formats, (name_prefix or "data") + ".inputs[{data__inputs_x}]".format(**locals()))
        if "outputs" in data_keys:
            data_keys.remove("outputs")
            data__outputs = data["outputs"]
            if not isinstance(data__outputs, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".outputs must be array")
            data__outputs_is_list = isinstance(data__outputs, (list, tuple))
            if data__outputs_is_list:
                data__outputs_len = len(data__outputs)
                if data__outputs_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".outputs must contain at least 1 items")
                if data__outputs_len > 64:
                    raise SchemaError("" + (name_prefix or "data") + ".outputs must contain less than or equal to 64 items")
                for data__outputs_x, data__outputs_item in enumerate(data__outputs):
                    validate____defs_tensorname(data__outputs_item, custom_formats, (name_prefix or "data") + ".outputs[{data__outputs_x}]".format(**locals()))
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_tensorname(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (str)):
        raise SchemaError("" + (name_prefix or "data") + " must be string")
    if isinstance(data, str):
        data_len = len(data)
        if data_len > 128:
            raise SchemaError("" + (name_prefix or "data") + " must be shorter than or equal to 128 characters")
        if not REGEX_PATTERNS['^[A-Za-z_][A-Za-z0-9_.-]{0,127}$'].search(data):
            raise SchemaError("" + (name_prefix or "data") + " must match pattern ^[A-Za-z_][A-Za-z0-9_.-]{0,127}$")
    return data

def validate____defs_stage(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['graph', 'weights']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "graph" in data_keys:
            data_keys.remove("graph")
            data__graph = data["graph"]
            validate____defs_name(data__graph, custom_formats, (name_prefix or "data") + ".graph")
        if "weights" in data_keys:
            data_keys.remove("weights")
            data__weights = data["weights"]
            validate____defs_path(data__weights, custom_formats, (name_prefix or "data") + ".weights")
        if "precision" in data_keys:
            data_keys.remove("precision")
            data__precision = data["precision"]
            if not (isinstance(data__precision, str) and data__precision == 'fp32' or isinstance(data__precision, str) and data__precision == 'fp16' or isinstance(data__precision, str) and data__precision == 'int8' or isinstance(data__precision, str) and data__precision == 'int4'):
                raise SchemaError("" + (name_prefix or "data") + ".precision must be one of ['fp32', 'fp16', 'int8', 'int4']")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_name(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (str)):
        raise SchemaError("" + (name_prefix or "data") + " must be string")
    if isinstance(data, str):
        data_len = len(data)
        if data_len > 64:
            raise SchemaError("" + (name_prefix or "data") + " must be shorter than or equal to 64 characters")
        if not REGEX_PATTERNS['^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'].search(data):
            raise SchemaError("" + (name_prefix or "data") + " must match pattern ^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")
    return data

def validate____defs_latentrgb(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['factors', 'bias']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "factors" in data_keys:
            data_keys.remove("factors")
            data__factors = data["factors"]
            if not isinstance(data__factors, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".factors must be array")
            data__factors_is_list = isinstance(data__factors, (list, tuple))
            if data__factors_is_list:
                data__factors_len = len(data__factors)
                if data__factors_len < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".factors must contain at least 1 items")
                if data__factors_len > 4096:
                    raise SchemaError("" + (name_prefix or "data") + ".factors must contain less than or equal to 4096 items")
                for data__factors_x, data__factors_item in enumerate(data__factors):
                    if not isinstance(data__factors_item, (list, tuple)):
                        raise SchemaError("" + (name_prefix or "data") + ".factors[{data__factors_x}]".format(**locals()) + " must be array")
                    data__factors_item_is_list = isinstance(data__factors_item, (list, tuple))
                    if data__factors_item_is_list:
                        data__factors_item_len = len(data__factors_item)
                        if data__factors_item_len < 3:
                            raise SchemaError("" + (name_prefix or "data") + ".factors[{data__factors_x}]".format(**locals()) + " must contain at least 3 items")
                        if data__factors_item_len > 3:
                            raise SchemaError("" + (name_prefix or "data") + ".factors[{data__factors_x}]".format(**locals()) + " must contain less than or equal to 3 items")
                        for data__factors_item_x, data__factors_item_item in enumerate(data__factors_item):
                            if not isinstance(data__factors_item_item, (int, float, Decimal)) or isinstance(data__factors_item_item, bool):
                                raise SchemaError("" + (name_prefix or "data") + ".factors[{data__factors_x}][{data__factors_item_x}]".format(**locals()) + " must be number")
                            if isinstance(data__factors_item_item, (int, float, Decimal)) and not isinstance(data__factors_item_item, bool):
                                if data__factors_item_item < -1000000.0:
                                    raise SchemaError("" + (name_prefix or "data") + ".factors[{data__factors_x}][{data__factors_item_x}]".format(**locals()) + " must be bigger than or equal to -1000000.0")
                                if data__factors_item_item > 1000000.0:
                                    raise SchemaError("" + (name_prefix or "data") + ".factors[{data__factors_x}][{data__factors_item_x}]".format(**locals()) + " must be smaller than or equal to 1000000.0")
        if "bias" in data_keys:
            data_keys.remove("bias")
            data__bias = data["bias"]
            if not isinstance(data__bias, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".bias must be array")
            data__bias_is_list = isinstance(data__bias, (list, tuple))
            if data__bias_is_list:
                data__bias_len = len(data__bias)
                if data__bias_len < 3:
                    raise SchemaError("" + (name_prefix or "data") + ".bias must contain at least 3 items")
                if data__bias_len > 3:
                    raise SchemaError("" + (name_prefix or "data") + ".bias must contain less than or equal to 3 items")
                for data__bias_x, data__bias_item in enumerate(data__bias):
                    if not isinstance(data__bias_item, (int, float, Decimal)) or isinstance(data__bias_item, bool):
                        raise SchemaError("" + (name_prefix or "data") + ".bias[{data__bias_x}]".format(**locals()) + " must be number")
                    if isinstance(data__bias_item, (int, float, Decimal)) and not isinstance(data__bias_item, bool):
                        if data__bias_item < -1000000.0:
                            raise SchemaError("" + (name_prefix or "data") + ".bias[{data__bias_x}]".format(**locals()) + " must be bigger than or equal to -1000000.0")
                        if data__bias_item > 1000000.0:
                            raise SchemaError("" + (name_prefix or "data") + ".bias[{data__bias_x}]".format(**locals()) + " must be smaller than or equal to 1000000.0")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_op(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'encode_text'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: encode_text")
    except SchemaError:
        pass
    else:
        validate____defs_encodetext(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'load_text'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: load_text")
    except SchemaError:
        pass
    else:
        validate____defs_loadtext(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'zero_text'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: zero_text")
    except SchemaError:
        pass
    else:
        validate____defs_zerotext(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'encode_image'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: encode_image")
    except SchemaError:
        pass
    else:
        validate____defs_encodeimage(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'noise'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: noise")
    except SchemaError:
        pass
    else:
        validate____defs_noise(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'denoise'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: denoise")
    except SchemaError:
        pass
    else:
        validate____defs_denoise(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'decode'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: decode")
    except SchemaError:
        pass
    else:
        validate____defs_decode(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['op']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "op" in data_keys:
                data_keys.remove("op")
                data__op = data["op"]
                if not (isinstance(data__op, str) and data__op == 'write_video'):
                    raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: write_video")
    except SchemaError:
        pass
    else:
        validate____defs_writevideo(data, custom_formats, (name_prefix or "data") + "")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['op']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'encode_text' or isinstance(data__op, str) and data__op == 'load_text' or isinstance(data__op, str) and data__op == 'zero_text' or isinstance(data__op, str) and data__op == 'encode_image' or isinstance(data__op, str) and data__op == 'noise' or isinstance(data__op, str) and data__op == 'denoise' or isinstance(data__op, str) and data__op == 'decode' or isinstance(data__op, str) and data__op == 'write_video'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be one of ['encode_text', 'load_text', 'zero_text', 'encode_image', 'noise', 'denoise', 'decode', 'write_video']")
    return data

def validate____defs_writevideo(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'frames', 'fps']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'write_video'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: write_video")
        if "frames" in data_keys:
            data_keys.remove("frames")
            data__frames = data["frames"]
            validate____defs_opref(data__frames, custom_formats, (name_prefix or "data") + ".frames")
        if "fps" in data_keys:
            data_keys.remove("fps")
            data__fps = data["fps"]
            if not isinstance(data__fps, (int, float, Decimal)) or isinstance(data__fps, bool):
                raise SchemaError("" + (name_prefix or "data") + ".fps must be number")
            if isinstance(data__fps, (int, float, Decimal)) and not isinstance(data__fps, bool):
                if data__fps < 0.01:
                    raise SchemaError("" + (name_prefix or "data") + ".fps must be bigger than or equal to 0.01")
                if data__fps > 1000:
                    raise SchemaError("" + (name_prefix or "data") + ".fps must be smaller than or equal to 1000")
        if "webp" in data_keys:
            data_keys.remove("webp")
            data__webp = data["webp"]
            validate____defs_webp(data__webp, custom_formats, (name_prefix or "data") + ".webp")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_webp(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['lossless', 'quality', 'effort']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "lossless" in data_keys:
            data_keys.remove("lossless")
            data__lossless = data["lossless"]
            if not isinstance(data__lossless, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".lossless must be boolean")
        if "quality" in data_keys:
            data_keys.remove("quality")
            data__quality = data["quality"]
            if not isinstance(data__quality, (int)) or isinstance(data__quality, bool):
                raise SchemaError("" + (name_prefix or "data") + ".quality must be integer")
            if isinstance(data__quality, (int, float, Decimal)) and not isinstance(data__quality, bool):
                if data__quality < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".quality must be bigger than or equal to 0")
                if data__quality > 100:
                    raise SchemaError("" + (name_prefix or "data") + ".quality must be smaller than or equal to 100")
        if "effort" in data_keys:
            data_keys.remove("effort")
            data__effort = data["effort"]
            if not isinstance(data__effort, (int)) or isinstance(data__effort, bool):
                raise SchemaError("" + (name_prefix or "data") + ".effort must be integer")
            if isinstance(data__effort, (int, float, Decimal)) and not isinstance(data__effort, bool):
                if data__effort < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".effort must be bigger than or equal to 0")
                if data__effort > 6:
                    raise SchemaError("" + (name_prefix or "data") + ".effort must be smaller than or equal to 6")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_opref(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['op']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            validate____defs_name(data__op, custom_formats, (name_prefix or "data") + ".op")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_decode(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'component', 'latent']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'decode'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: decode")
        if "component" in data_keys:
            data_keys.remove("component")
            data__component = data["component"]
            validate____defs_name(data__component, custom_formats, (name_prefix or "data") + ".component")
        if "latent" in data_keys:
            data_keys.remove("latent")
            data__latent = data["latent"]
            validate____defs_opref(data__latent, custom_formats, (name_prefix or "data") + ".latent")
        if "tiles" in data_keys:
            data_keys.remove("tiles")
            data__tiles = data["tiles"]
            validate____defs_tiles(data__tiles, custom_formats, (name_prefix or "data") + ".tiles")
        if "next" in data_keys:
            data_keys.remove("next")
            data__next = data["next"]
            validate____defs_name(data__next, custom_formats, (name_prefix or "data") + ".next")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_tiles(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['size', 'overlap', 'scale']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "size" in data_keys:
            data_keys.remove("size")
            data__size = data["size"]
            if not isinstance(data__size, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".size must be array")
            data__size_is_list = isinstance(data__size, (list, tuple))
            if data__size_is_list:
                data__size_len = len(data__size)
                if data__size_len < 3:
                    raise SchemaError("" + (name_prefix or "data") + ".size must contain at least 3 items")
                if data__size_len > 3:
                    raise SchemaError("" + (name_prefix or "data") + ".size must contain less than or equal to 3 items")
                for data__size_x, data__size_item in enumerate(data__size):
                    if not isinstance(data__size_item, (int)) or isinstance(data__size_item, bool):
                        raise SchemaError("" + (name_prefix or "data") + ".size[{data__size_x}]".format(**locals()) + " must be integer")
                    if isinstance(data__size_item, (int, float, Decimal)) and not isinstance(data__size_item, bool):
                        if data__size_item < 1:
                            raise SchemaError("" + (name_prefix or "data") + ".size[{data__size_x}]".format(**locals()) + " must be bigger than or equal to 1")
                        if data__size_item > 65536:
                            raise SchemaError("" + (name_prefix or "data") + ".size[{data__size_x}]".format(**locals()) + " must be smaller than or equal to 65536")
        if "overlap" in data_keys:
            data_keys.remove("overlap")
            data__overlap = data["overlap"]
            if not isinstance(data__overlap, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".overlap must be array")
            data__overlap_is_list = isinstance(data__overlap, (list, tuple))
            if data__overlap_is_list:
                data__overlap_len = len(data__overlap)
                if data__overlap_len < 3:
                    raise SchemaError("" + (name_prefix or "data") + ".overlap must contain at least 3 items")
                if data__overlap_len > 3:
                    raise SchemaError("" + (name_prefix or "data") + ".overlap must contain less than or equal to 3 items")
                for data__overlap_x, data__overlap_item in enumerate(data__overlap):
                    if not isinstance(data__overlap_item, (int)) or isinstance(data__overlap_item, bool):
                        raise SchemaError("" + (name_prefix or "data") + ".overlap[{data__overlap_x}]".format(**locals()) + " must be integer")
                    if isinstance(data__overlap_item, (int, float, Decimal)) and not isinstance(data__overlap_item, bool):
                        if data__overlap_item < 0:
                            raise SchemaError("" + (name_prefix or "data") + ".overlap[{data__overlap_x}]".format(**locals()) + " must be bigger than or equal to 0")
                        if data__overlap_item > 65536:
                            raise SchemaError("" + (name_prefix or "data") + ".overlap[{data__overlap_x}]".format(**locals()) + " must be smaller than or equal to 65536")
        if "scale" in data_keys:
            data_keys.remove("scale")
            data__scale = data["scale"]
            if not isinstance(data__scale, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".scale must be array")
            data__scale_is_list = isinstance(data__scale, (list, tuple))
            if data__scale_is_list:
                data__scale_len = len(data__scale)
                if data__scale_len < 3:
                    raise SchemaError("" + (name_prefix or "data") + ".scale must contain at least 3 items")
                if data__scale_len > 3:
                    raise SchemaError("" + (name_prefix or "data") + ".scale must contain less than or equal to 3 items")
                for data__scale_x, data__scale_item in enumerate(data__scale):
                    if not isinstance(data__scale_item, (int)) or isinstance(data__scale_item, bool):
                        raise SchemaError("" + (name_prefix or "data") + ".scale[{data__scale_x}]".format(**locals()) + " must be integer")
                    if isinstance(data__scale_item, (int, float, Decimal)) and not isinstance(data__scale_item, bool):
                        if data__scale_item < 1:
                            raise SchemaError("" + (name_prefix or "data") + ".scale[{data__scale_x}]".format(**locals()) + " must be bigger than or equal to 1")
                        if data__scale_item > 256:
                            raise SchemaError("" + (name_prefix or "data") + ".scale[{data__scale_x}]".format(**locals()) + " must be smaller than or equal to 256")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_denoise(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'component', 'noise', 'positive', 'negative', 'guidance', 'first_frame', 'motion', 'sampler', 'schedule']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'denoise'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: denoise")
        if "component" in data_keys:
            data_keys.remove("component")
            data__component = data["component"]
            validate____defs_name(data__component, custom_formats, (name_prefix or "data") + ".component")
        if "noise" in data_keys:
            data_keys.remove("noise")
            data__noise = data["noise"]
            validate____defs_optionalopref(data__noise, custom_formats, (name_prefix or "data") + ".noise")
        if "latent" in data_keys:
            data_keys.remove("latent")
            data__latent = data["latent"]
            validate____defs_optionalopref(data__latent, custom_formats, (name_prefix or "data") + ".latent")
        if "keep_first_frame" in data_keys:
            data_keys.remove("keep_first_frame")
            data__keepfirstframe = data["keep_first_frame"]
            if not isinstance(data__keepfirstframe, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".keep_first_frame must be boolean")
        if "positive" in data_keys:
            data_keys.remove("positive")
            data__positive = data["positive"]
            validate____defs_opref(data__positive, custom_formats, (name_prefix or "data") + ".positive")
        if "negative" in data_keys:
            data_keys.remove("negative")
            data__negative = data["negative"]
            validate____defs_optionalopref(data__negative, custom_formats, (name_prefix or "data") + ".negative")
        if "guidance" in data_keys:
            data_keys.remove("guidance")
            data__guidance = data["guidance"]
            validate____defs_numbervalue(data__guidance, custom_formats, (name_prefix or "data") + ".guidance")
        if "first_frame" in data_keys:
            data_keys.remove("first_frame")
            data__firstframe = data["first_frame"]
            validate____defs_optionalopref(data__firstframe, custom_formats, (name_prefix or "data") + ".first_frame")
        if "motion" in data_keys:
            data_keys.remove("motion")
            data__motion = data["motion"]
            validate____defs_numbervalue(data__motion, custom_formats, (name_prefix or "data") + ".motion")
        if "sampler" in data_keys:
            data_keys.remove("sampler")
            data__sampler = data["sampler"]
            if not (isinstance(data__sampler, str) and data__sampler == 'euler' or isinstance(data__sampler, str) and data__sampler == 'heun' or isinstance(data__sampler, str) and data__sampler == 'dpm_2' or isinstance(data__sampler, str) and data__sampler == 'dpmpp_2m' or isinstance(data__sampler, str) and data__sampler == 'res_multistep' or isinstance(data__sampler, str) and data__sampler == 'gradient_estimation' or isinstance(data__sampler, str) and data__sampler == 'ddim' or isinstance(data__sampler, str) and data__sampler == 'uni_pc' or isinstance(data__sampler, str) and data__sampler == 'uni_pc_bh2' or isinstance(data__sampler, str) and data__sampler == 'renoise'):
                raise SchemaError("" + (name_prefix or "data") + ".sampler must be one of ['euler', 'heun', 'dpm_2', 'dpmpp_2m', 'res_multistep', 'gradient_estimation', 'ddim', 'uni_pc', 'uni_pc_bh2', 'renoise']")
        if "renoise_seed" in data_keys:
            data_keys.remove("renoise_seed")
            data__renoiseseed = data["renoise_seed"]
            validate____defs_seedvalue(data__renoiseseed, custom_formats, (name_prefix or "data") + ".renoise_seed")
        if "schedule" in data_keys:
            data_keys.remove("schedule")
            data__schedule = data["schedule"]
            validate____defs_schedule(data__schedule, custom_formats, (name_prefix or "data") + ".schedule")
        if "leap" in data_keys:
            data_keys.remove("leap")
            data__leap = data["leap"]
            validate____defs_leap(data__leap, custom_formats, (name_prefix or "data") + ".leap")
        if "merge" in data_keys:
            data_keys.remove("merge")
            data__merge = data["merge"]
            validate____defs_merge(data__merge, custom_formats, (name_prefix or "data") + ".merge")
        if "frame_rate" in data_keys:
            data_keys.remove("frame_rate")
            data__framerate = data["frame_rate"]
            if not isinstance(data__framerate, (int, float, Decimal)) or isinstance(data__framerate, bool):
                raise SchemaError("" + (name_prefix or "data") + ".frame_rate must be number")
            if isinstance(data__framerate, (int, float, Decimal)) and not isinstance(data__framerate, bool):
                if data__framerate < 0.1:
                    raise SchemaError("" + (name_prefix or "data") + ".frame_rate must be bigger than or equal to 0.1")
                if data__framerate > 1000:
                    raise SchemaError("" + (name_prefix or "data") + ".frame_rate must be smaller than or equal to 1000")
        if "given" in data_keys:
            data_keys.remove("given")
            data__given = data["given"]
            validate____defs_given(data__given, custom_formats, (name_prefix or "data") + ".given")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_given(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['channels']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "channels" in data_keys:
            data_keys.remove("channels")
            data__channels = data["channels"]
            if not isinstance(data__channels, (int)) or isinstance(data__channels, bool):
                raise SchemaError("" + (name_prefix or "data") + ".channels must be integer")
            if isinstance(data__channels, (int, float, Decimal)) and not isinstance(data__channels, bool):
                if data__channels < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".channels must be bigger than or equal to 1")
                if data__channels > 4096:
                    raise SchemaError("" + (name_prefix or "data") + ".channels must be smaller than or equal to 4096")
        if "latent" in data_keys:
            data_keys.remove("latent")
            data__latent = data["latent"]
            validate____defs_opref(data__latent, custom_formats, (name_prefix or "data") + ".latent")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_merge(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['mode']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "mode" in data_keys:
                data_keys.remove("mode")
                data__mode = data["mode"]
                if not (isinstance(data__mode, str) and data__mode == 'pairs'):
                    raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: pairs")
    except SchemaError:
        pass
    else:
        validate____defs_pairmerge(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['mode']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "mode" in data_keys:
                data_keys.remove("mode")
                data__mode = data["mode"]
                if not (isinstance(data__mode, str) and data__mode == 'similar'):
                    raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: similar")
    except SchemaError:
        pass
    else:
        validate____defs_similarmerge(data, custom_formats, (name_prefix or "data") + "")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['mode']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "mode" in data_keys:
            data_keys.remove("mode")
            data__mode = data["mode"]
            if not (isinstance(data__mode, str) and data__mode == 'pairs' or isinstance(data__mode, str) and data__mode == 'similar'):
                raise SchemaError("" + (name_prefix or "data") + ".mode must be one of ['pairs', 'similar']")
    return data

def validate____defs_similarmerge(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['mode', 'component', 'end', 'keep_first_frame', 'share']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "mode" in data_keys:
            data_keys.remove("mode")
            data__mode = data["mode"]
            if not (isinstance(data__mode, str) and data__mode == 'similar'):
                raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: similar")
        if "component" in data_keys:
            data_keys.remove("component")
            data__component = data["component"]
            validate____defs_name(data__component, custom_formats, (name_prefix or "data") + ".component")
        if "begin" in data_keys:
            data_keys.remove("begin")
            data__begin = data["begin"]
            if not isinstance(data__begin, (int, float, Decimal)) or isinstance(data__begin, bool):
                raise SchemaError("" + (name_prefix or "data") + ".begin must be number")
            if isinstance(data__begin, (int, float, Decimal)) and not isinstance(data__begin, bool):
                if data__begin < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".begin must be bigger than or equal to 0")
                if data__begin > 1000000:
                    raise SchemaError("" + (name_prefix or "data") + ".begin must be smaller than or equal to 1000000")
        if "end" in data_keys:
            data_keys.remove("end")
            data__end = data["end"]
            if not isinstance(data__end, (int, float, Decimal)) or isinstance(data__end, bool):
                raise SchemaError("" + (name_prefix or "data") + ".end must be number")
            if isinstance(data__end, (int, float, Decimal)) and not isinstance(data__end, bool):
                if data__end < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be bigger than or equal to 0")
                if data__end > 1000000:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be smaller than or equal to 1000000")
        if "keep_first_frame" in data_keys:
            data_keys.remove("keep_first_frame")
            data__keepfirstframe = data["keep_first_frame"]
            if not isinstance(data__keepfirstframe, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".keep_first_frame must be boolean")
        if "share" in data_keys:
            data_keys.remove("share")
            data__share = data["share"]
            if not isinstance(data__share, (int, float, Decimal)) or isinstance(data__share, bool):
                raise SchemaError("" + (name_prefix or "data") + ".share must be number")
            if isinstance(data__share, (int, float, Decimal)) and not isinstance(data__share, bool):
                if data__share < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".share must be bigger than or equal to 0")
                if data__share > 1:
                    raise SchemaError("" + (name_prefix or "data") + ".share must be smaller than or equal to 1")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_pairmerge(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['mode', 'component', 'end', 'keep_first_frame']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "mode" in data_keys:
            data_keys.remove("mode")
            data__mode = data["mode"]
            if not (isinstance(data__mode, str) and data__mode == 'pairs'):
                raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: pairs")
        if "component" in data_keys:
            data_keys.remove("component")
            data__component = data["component"]
            validate____defs_name(data__component, custom_formats, (name_prefix or "data") + ".component")
        if "begin" in data_keys:
            data_keys.remove("begin")
            data__begin = data["begin"]
            if not isinstance(data__begin, (int, float, Decimal)) or isinstance(data__begin, bool):
                raise SchemaError("" + (name_prefix or "data") + ".begin must be number")
            if isinstance(data__begin, (int, float, Decimal)) and not isinstance(data__begin, bool):
                if data__begin < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".begin must be bigger than or equal to 0")
                if data__begin > 1000000:
                    raise SchemaError("" + (name_prefix or "data") + ".begin must be smaller than or equal to 1000000")
        if "end" in data_keys:
            data_keys.remove("end")
            data__end = data["end"]
            if not isinstance(data__end, (int, float, Decimal)) or isinstance(data__end, bool):
                raise SchemaError("" + (name_prefix or "data") + ".end must be number")
            if isinstance(data__end, (int, float, Decimal)) and not isinstance(data__end, bool):
                if data__end < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be bigger than or equal to 0")
                if data__end > 1000000:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be smaller than or equal to 1000000")
        if "keep_first_frame" in data_keys:
            data_keys.remove("keep_first_frame")
            data__keepfirstframe = data["keep_first_frame"]
            if not isinstance(data__keepfirstframe, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".keep_first_frame must be boolean")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_leap(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['mode']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "mode" in data_keys:
                data_keys.remove("mode")
                data__mode = data["mode"]
                if not (isinstance(data__mode, str) and data__mode == 'adaptive'):
                    raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: adaptive")
    except SchemaError:
        pass
    else:
        validate____defs_adaptiveleap(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['mode']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "mode" in data_keys:
                data_keys.remove("mode")
                data__mode = data["mode"]
                if not (isinstance(data__mode, str) and data__mode == 'fixed'):
                    raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: fixed")
    except SchemaError:
        pass
    else:
        validate____defs_fixedleap(data, custom_formats, (name_prefix or "data") + "")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['mode']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "mode" in data_keys:
            data_keys.remove("mode")
            data__mode = data["mode"]
            if not (isinstance(data__mode, str) and data__mode == 'adaptive' or isinstance(data__mode, str) and data__mode == 'fixed'):
                raise SchemaError("" + (name_prefix or "data") + ".mode must be one of ['adaptive', 'fixed']")
    return data

def validate____defs_fixedleap(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['mode', 'step']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "mode" in data_keys:
            data_keys.remove("mode")
            data__mode = data["mode"]
            if not (isinstance(data__mode, str) and data__mode == 'fixed'):
                raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: fixed")
        if "step" in data_keys:
            data_keys.remove("step")
            data__step = data["step"]
            if not isinstance(data__step, (int)) or isinstance(data__step, bool):
                raise SchemaError("" + (name_prefix or "data") + ".step must be integer")
            if isinstance(data__step, (int, float, Decimal)) and not isinstance(data__step, bool):
                if data__step < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".step must be bigger than or equal to 0")
                if data__step > 10000:
                    raise SchemaError("" + (name_prefix or "data") + ".step must be smaller than or equal to 10000")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_adaptiveleap(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['mode', 'minimum', 'tolerance', 'patience']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "mode" in data_keys:
            data_keys.remove("mode")
            data__mode = data["mode"]
            if not (isinstance(data__mode, str) and data__mode == 'adaptive'):
                raise SchemaError("" + (name_prefix or "data") + ".mode must be same as const definition: adaptive")
        if "minimum" in data_keys:
            data_keys.remove("minimum")
            data__minimum = data["minimum"]
            if not isinstance(data__minimum, (int, float, Decimal)) or isinstance(data__minimum, bool):
                raise SchemaError("" + (name_prefix or "data") + ".minimum must be number")
            if isinstance(data__minimum, (int, float, Decimal)) and not isinstance(data__minimum, bool):
                if data__minimum < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".minimum must be bigger than or equal to 0")
                if data__minimum > 1:
                    raise SchemaError("" + (name_prefix or "data") + ".minimum must be smaller than or equal to 1")
        if "tolerance" in data_keys:
            data_keys.remove("tolerance")
            data__tolerance = data["tolerance"]
            if not isinstance(data__tolerance, (int, float, Decimal)) or isinstance(data__tolerance, bool):
                raise SchemaError("" + (name_prefix or "data") + ".tolerance must be number")
            if isinstance(data__tolerance, (int, float, Decimal)) and not isinstance(data__tolerance, bool):
                if data__tolerance < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".tolerance must be bigger than or equal to 0")
                if data__tolerance > 2:
                    raise SchemaError("" + (name_prefix or "data") + ".tolerance must be smaller than or equal to 2")
        if "patience" in data_keys:
            data_keys.remove("patience")
            data__patience = data["patience"]
            if not isinstance(data__patience, (int)) or isinstance(data__patience, bool):
                raise SchemaError("" + (name_prefix or "data") + ".patience must be integer")
            if isinstance(data__patience, (int, float, Decimal)) and not isinstance(data__patience, bool):
                if data__patience < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".patience must be bigger than or equal to 1")
                if data__patience > 10000:
                    raise SchemaError("" + (name_prefix or "data") + ".patience must be smaller than or equal to 10000")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_schedule(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['name']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "name" in data_keys:
                data_keys.remove("name")
                data__name = data["name"]
                if not (isinstance(data__name, str) and data__name == 'simple' or isinstance(data__name, str) and data__name == 'normal' or isinstance(data__name, str) and data__name == 'sgm_uniform' or isinstance(data__name, str) and data__name == 'beta' or isinstance(data__name, str) and data__name == 'linear_quadratic' or isinstance(data__name, str) and data__name == 'kl_optimal' or isinstance(data__name, str) and data__name == 'karras' or isinstance(data__name, str) and data__name == 'exponential' or isinstance(data__name, str) and data__name == 'ddim_uniform'):
                    raise SchemaError("" + (name_prefix or "data") + ".name must be one of ['simple', 'normal', 'sgm_uniform', 'beta', 'linear_quadratic', 'kl_optimal', 'karras', 'exponential', 'ddim_uniform']")
    except SchemaError:
        pass
    else:
        validate____defs_namedschedule(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['name']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "name" in data_keys:
                data_keys.remove("name")
                data__name = data["name"]
                if not (isinstance(data__name, str) and data__name == 'ltxv'):
                    raise SchemaError("" + (name_prefix or "data") + ".name must be same as const definition: ltxv")
    except SchemaError:
        pass
    else:
        validate____defs_ltxvschedule(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['name']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "name" in data_keys:
                data_keys.remove("name")
                data__name = data["name"]
                if not (isinstance(data__name, str) and data__name == 'manual'):
                    raise SchemaError("" + (name_prefix or "data") + ".name must be same as const definition: manual")
    except SchemaError:
        pass
    else:
        validate____defs_manualschedule(data, custom_formats, (name_prefix or "data") + "")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['name']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "name" in data_keys:
            data_keys.remove("name")
            data__name = data["name"]
            if not (isinstance(data__name, str) and data__name == 'simple' or isinstance(data__name, str) and data__name == 'normal' or isinstance(data__name, str) and data__name == 'sgm_uniform' or isinstance(data__name, str) and data__name == 'beta' or isinstance(data__name, str) and data__name == 'linear_quadratic' or isinstance(data__name, str) and data__name == 'kl_optimal' or isinstance(data__name, str) and data__name == 'karras' or isinstance(data__name, str) and data__name == 'exponential' or isinstance(data__name, str) and data__name == 'ddim_uniform' or isinstance(data__name, str) and data__name == 'ltxv' or isinstance(data__name, str) and data__name == 'manual'):
                raise SchemaError("" + (name_prefix or "data") + ".name must be one of ['simple', 'normal', 'sgm_uniform', 'beta', 'linear_quadratic', 'kl_optimal', 'karras', 'exponential', 'ddim_uniform', 'ltxv', 'manual']")
    return data

def validate____defs_manualschedule(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['name', 'sigmas', 'multiplier']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "name" in data_keys:
            data_keys.remove("name")
            data__name = data["name"]
            if not (isinstance(data__name, str) and data__name == 'manual'):
                raise SchemaError("" + (name_prefix or "data") + ".name must be same as const definition: manual")
        if "sigmas" in data_keys:
            data_keys.remove("sigmas")
            data__sigmas = data["sigmas"]
            if not isinstance(data__sigmas, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".sigmas must be array")
            data__sigmas_is_list = isinstance(data__sigmas, (list, tuple))
            if data__sigmas_is_list:
                data__sigmas_len = len(data__sigmas)
                if data__sigmas_len < 2:
                    raise SchemaError("" + (name_prefix or "data") + ".sigmas must contain at least 2 items")
                if data__sigmas_len > 1001:
                    raise SchemaError("" + (name_prefix or "data") + ".sigmas must contain less than or equal to 1001 items")
                for data__sigmas_x, data__sigmas_item in enumerate(data__sigmas):
                    if not isinstance(data__sigmas_item, (int, float, Decimal)) or isinstance(data__sigmas_item, bool):
                        raise SchemaError("" + (name_prefix or "data") + ".sigmas[{data__sigmas_x}]".format(**locals()) + " must be number")
                    if isinstance(data__sigmas_item, (int, float, Decimal)) and not isinstance(data__sigmas_item, bool):
                        if data__sigmas_item < 0:
                            raise SchemaError("" + (name_prefix or "data") + ".sigmas[{data__sigmas_x}]".format(**locals()) + " must be bigger than or equal to 0")
                        if data__sigmas_item > 1:
                            raise SchemaError("" + (name_prefix or "data") + ".sigmas[{data__sigmas_x}]".format(**locals()) + " must be smaller than or equal to 1")
        if "multiplier" in data_keys:
            data_keys.remove("multiplier")
            data__multiplier = data["multiplier"]
            if not isinstance(data__multiplier, (int, float, Decimal)) or isinstance(data__multiplier, bool):
                raise SchemaError("" + (name_prefix or "data") + ".multiplier must be number")
            if isinstance(data__multiplier, (int, float, Decimal)) and not isinstance(data__multiplier, bool):
                if data__multiplier < 0.001:
                    raise SchemaError("" + (name_prefix or "data") + ".multiplier must be bigger than or equal to 0.001")
                if data__multiplier > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".multiplier must be smaller than or equal to 100000")
        if "start" in data_keys:
            data_keys.remove("start")
            data__start = data["start"]
            if not isinstance(data__start, (int)) or isinstance(data__start, bool):
                raise SchemaError("" + (name_prefix or "data") + ".start must be integer")
            if isinstance(data__start, (int, float, Decimal)) and not isinstance(data__start, bool):
                if data__start < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".start must be bigger than or equal to 0")
                if data__start > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".start must be smaller than or equal to 100000")
        if "end" in data_keys:
            data_keys.remove("end")
            data__end = data["end"]
            if not isinstance(data__end, (int)) or isinstance(data__end, bool):
                raise SchemaError("" + (name_prefix or "data") + ".end must be integer")
            if isinstance(data__end, (int, float, Decimal)) and not isinstance(data__end, bool):
                if data__end < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be bigger than or equal to 0")
                if data__end > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be smaller than or equal to 100000")
        if "finish" in data_keys:
            data_keys.remove("finish")
            data__finish = data["finish"]
            if not isinstance(data__finish, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".finish must be boolean")
        if "until" in data_keys:
            data_keys.remove("until")
            data__until = data["until"]
            if not isinstance(data__until, (int, float, Decimal)) or isinstance(data__until, bool):
                raise SchemaError("" + (name_prefix or "data") + ".until must be number")
            if isinstance(data__until, (int, float, Decimal)) and not isinstance(data__until, bool):
                if data__until < 0.001:
                    raise SchemaError("" + (name_prefix or "data") + ".until must be bigger than or equal to 0.001")
                if data__until > 1:
                    raise SchemaError("" + (name_prefix or "data") + ".until must be smaller than or equal to 1")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_ltxvschedule(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['name', 'steps', 'tokens', 'max_shift', 'base_shift', 'stretch', 'terminal', 'multiplier']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "name" in data_keys:
            data_keys.remove("name")
            data__name = data["name"]
            if not (isinstance(data__name, str) and data__name == 'ltxv'):
                raise SchemaError("" + (name_prefix or "data") + ".name must be same as const definition: ltxv")
        if "steps" in data_keys:
            data_keys.remove("steps")
            data__steps = data["steps"]
            validate____defs_stepsvalue(data__steps, custom_formats, (name_prefix or "data") + ".steps")
        if "tokens" in data_keys:
            data_keys.remove("tokens")
            data__tokens = data["tokens"]
            if not isinstance(data__tokens, (int)) or isinstance(data__tokens, bool):
                raise SchemaError("" + (name_prefix or "data") + ".tokens must be integer")
            if isinstance(data__tokens, (int, float, Decimal)) and not isinstance(data__tokens, bool):
                if data__tokens < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".tokens must be bigger than or equal to 1")
                if data__tokens > 268435456:
                    raise SchemaError("" + (name_prefix or "data") + ".tokens must be smaller than or equal to 268435456")
        if "max_shift" in data_keys:
            data_keys.remove("max_shift")
            data__maxshift = data["max_shift"]
            if not isinstance(data__maxshift, (int, float, Decimal)) or isinstance(data__maxshift, bool):
                raise SchemaError("" + (name_prefix or "data") + ".max_shift must be number")
            if isinstance(data__maxshift, (int, float, Decimal)) and not isinstance(data__maxshift, bool):
                if data__maxshift < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".max_shift must be bigger than or equal to 0")
                if data__maxshift > 100:
                    raise SchemaError("" + (name_prefix or "data") + ".max_shift must be smaller than or equal to 100")
        if "base_shift" in data_keys:
            data_keys.remove("base_shift")
            data__baseshift = data["base_shift"]
            if not isinstance(data__baseshift, (int, float, Decimal)) or isinstance(data__baseshift, bool):
                raise SchemaError("" + (name_prefix or "data") + ".base_shift must be number")
            if isinstance(data__baseshift, (int, float, Decimal)) and not isinstance(data__baseshift, bool):
                if data__baseshift < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".base_shift must be bigger than or equal to 0")
                if data__baseshift > 100:
                    raise SchemaError("" + (name_prefix or "data") + ".base_shift must be smaller than or equal to 100")
        if "stretch" in data_keys:
            data_keys.remove("stretch")
            data__stretch = data["stretch"]
            if not isinstance(data__stretch, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".stretch must be boolean")
        if "terminal" in data_keys:
            data_keys.remove("terminal")
            data__terminal = data["terminal"]
            if not isinstance(data__terminal, (int, float, Decimal)) or isinstance(data__terminal, bool):
                raise SchemaError("" + (name_prefix or "data") + ".terminal must be number")
            if isinstance(data__terminal, (int, float, Decimal)) and not isinstance(data__terminal, bool):
                if data__terminal < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".terminal must be bigger than or equal to 0")
                if data__terminal > 0.99:
                    raise SchemaError("" + (name_prefix or "data") + ".terminal must be smaller than or equal to 0.99")
        if "multiplier" in data_keys:
            data_keys.remove("multiplier")
            data__multiplier = data["multiplier"]
            if not isinstance(data__multiplier, (int, float, Decimal)) or isinstance(data__multiplier, bool):
                raise SchemaError("" + (name_prefix or "data") + ".multiplier must be number")
            if isinstance(data__multiplier, (int, float, Decimal)) and not isinstance(data__multiplier, bool):
                if data__multiplier < 0.001:
                    raise SchemaError("" + (name_prefix or "data") + ".multiplier must be bigger than or equal to 0.001")
                if data__multiplier > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".multiplier must be smaller than or equal to 100000")
        if "start" in data_keys:
            data_keys.remove("start")
            data__start = data["start"]
            if not isinstance(data__start, (int)) or isinstance(data__start, bool):
                raise SchemaError("" + (name_prefix or "data") + ".start must be integer")
            if isinstance(data__start, (int, float, Decimal)) and not isinstance(data__start, bool):
                if data__start < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".start must be bigger than or equal to 0")
                if data__start > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".start must be smaller than or equal to 100000")
        if "end" in data_keys:
            data_keys.remove("end")
            data__end = data["end"]
            if not isinstance(data__end, (int)) or isinstance(data__end, bool):
                raise SchemaError("" + (name_prefix or "data") + ".end must be integer")
            if isinstance(data__end, (int, float, Decimal)) and not isinstance(data__end, bool):
                if data__end < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be bigger than or equal to 0")
                if data__end > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be smaller than or equal to 100000")
        if "finish" in data_keys:
            data_keys.remove("finish")
            data__finish = data["finish"]
            if not isinstance(data__finish, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".finish must be boolean")
        if "until" in data_keys:
            data_keys.remove("until")
            data__until = data["until"]
            if not isinstance(data__until, (int, float, Decimal)) or isinstance(data__until, bool):
                raise SchemaError("" + (name_prefix or "data") + ".until must be number")
            if isinstance(data__until, (int, float, Decimal)) and not isinstance(data__until, bool):
                if data__until < 0.001:
                    raise SchemaError("" + (name_prefix or "data") + ".until must be bigger than or equal to 0.001")
                if data__until > 1:
                    raise SchemaError("" + (name_prefix or "data") + ".until must be smaller than or equal to 1")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_stepsvalue(data, custom_formats={}, name_prefix=None):
    data_any_of_count1 = 0
    if not data_any_of_count1:
        try:
            if not isinstance(data, (int)) or isinstance(data, bool):
                raise SchemaError("" + (name_prefix or "data") + " must be integer")
            if isinstance(data, (int, float, Decimal)) and not isinstance(data, bool):
                if data < 1:
                    raise SchemaError("" + (name_prefix or "data") + " must be bigger than or equal to 1")
                if data > 1000:
                    raise SchemaError("" + (name_prefix or "data") + " must be smaller than or equal to 1000")
            data_any_of_count1 += 1
        except SchemaError: pass
    if not data_any_of_count1:
        try:
            validate____defs_inputref(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count1 += 1
        except SchemaError: pass
    if not data_any_of_count1:
        raise SchemaError("" + (name_prefix or "data") + " cannot be validated by any definition")
    return data

def validate____defs_inputref(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['input']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "input" in data_keys:
            data_keys.remove("input")
            data__input = data["input"]
            validate____defs_name(data__input, custom_formats, (name_prefix or "data") + ".input")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_namedschedule(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['name', 'steps', 'shift', 'denoise', 'multiplier']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "name" in data_keys:
            data_keys.remove("name")
            data__name = data["name"]
            if not (isinstance(data__name, str) and data__name == 'simple' or isinstance(data__name, str) and data__name == 'normal' or isinstance(data__name, str) and data__name == 'sgm_uniform' or isinstance(data__name, str) and data__name == 'beta' or isinstance(data__name, str) and data__name == 'linear_quadratic' or isinstance(data__name, str) and data__name == 'kl_optimal' or isinstance(data__name, str) and data__name == 'karras' or isinstance(data__name, str) and data__name == 'exponential' or isinstance(data__name, str) and data__name == 'ddim_uniform'):
                raise SchemaError("" + (name_prefix or "data") + ".name must be one of ['simple', 'normal', 'sgm_uniform', 'beta', 'linear_quadratic', 'kl_optimal', 'karras', 'exponential', 'ddim_uniform']")
        if "steps" in data_keys:
            data_keys.remove("steps")
            data__steps = data["steps"]
            validate____defs_stepsvalue(data__steps, custom_formats, (name_prefix or "data") + ".steps")
        if "shift" in data_keys:
            data_keys.remove("shift")
            data__shift = data["shift"]
            if not isinstance(data__shift, (int, float, Decimal)) or isinstance(data__shift, bool):
                raise SchemaError("" + (name_prefix or "data") + ".shift must be number")
            if isinstance(data__shift, (int, float, Decimal)) and not isinstance(data__shift, bool):
                if data__shift < 0.001:
                    raise SchemaError("" + (name_prefix or "data") + ".shift must be bigger than or equal to 0.001")
                if data__shift > 1000:
                    raise SchemaError("" + (name_prefix or "data") + ".shift must be smaller than or equal to 1000")
        if "denoise" in data_keys:
            data_keys.remove("denoise")
            data__denoise = data["denoise"]
            if not isinstance(data__denoise, (int, float, Decimal)) or isinstance(data__denoise, bool):
                raise SchemaError("" + (name_prefix or "data") + ".denoise must be number")
            if isinstance(data__denoise, (int, float, Decimal)) and not isinstance(data__denoise, bool):
                if data__denoise < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".denoise must be bigger than or equal to 0")
                if data__denoise > 1:
                    raise SchemaError("" + (name_prefix or "data") + ".denoise must be smaller than or equal to 1")
        if "multiplier" in data_keys:
            data_keys.remove("multiplier")
            data__multiplier = data["multiplier"]
            if not isinstance(data__multiplier, (int, float, Decimal)) or isinstance(data__multiplier, bool):
                raise SchemaError("" + (name_prefix or "data") + ".multiplier must be number")
            if isinstance(data__multiplier, (int, float, Decimal)) and not isinstance(data__multiplier, bool):
                if data__multiplier < 0.001:
                    raise SchemaError("" + (name_prefix or "data") + ".multiplier must be bigger than or equal to 0.001")
                if data__multiplier > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".multiplier must be smaller than or equal to 100000")
        if "curve" in data_keys:
            data_keys.remove("curve")
            data__curve = data["curve"]
            if not (isinstance(data__curve, str) and data__curve == 'flow' or isinstance(data__curve, str) and data__curve == 'flux'):
                raise SchemaError("" + (name_prefix or "data") + ".curve must be one of ['flow', 'flux']")
        if "drop_penultimate" in data_keys:
            data_keys.remove("drop_penultimate")
            data__droppenultimate = data["drop_penultimate"]
            if not isinstance(data__droppenultimate, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".drop_penultimate must be boolean")
        if "start" in data_keys:
            data_keys.remove("start")
            data__start = data["start"]
            if not isinstance(data__start, (int)) or isinstance(data__start, bool):
                raise SchemaError("" + (name_prefix or "data") + ".start must be integer")
            if isinstance(data__start, (int, float, Decimal)) and not isinstance(data__start, bool):
                if data__start < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".start must be bigger than or equal to 0")
                if data__start > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".start must be smaller than or equal to 100000")
        if "end" in data_keys:
            data_keys.remove("end")
            data__end = data["end"]
            if not isinstance(data__end, (int)) or isinstance(data__end, bool):
                raise SchemaError("" + (name_prefix or "data") + ".end must be integer")
            if isinstance(data__end, (int, float, Decimal)) and not isinstance(data__end, bool):
                if data__end < 0:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be bigger than or equal to 0")
                if data__end > 100000:
                    raise SchemaError("" + (name_prefix or "data") + ".end must be smaller than or equal to 100000")
        if "finish" in data_keys:
            data_keys.remove("finish")
            data__finish = data["finish"]
            if not isinstance(data__finish, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".finish must be boolean")
        if "until" in data_keys:
            data_keys.remove("until")
            data__until = data["until"]
            if not isinstance(data__until, (int, float, Decimal)) or isinstance(data__until, bool):
                raise SchemaError("" + (name_prefix or "data") + ".until must be number")
            if isinstance(data__until, (int, float, Decimal)) and not isinstance(data__until, bool):
                if data__until < 0.001:
                    raise SchemaError("" + (name_prefix or "data") + ".until must be bigger than or equal to 0.001")
                if data__until > 1:
                    raise SchemaError("" + (name_prefix or "data") + ".until must be smaller than or equal to 1")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_seedvalue(data, custom_formats={}, name_prefix=None):
    data_any_of_count2 = 0
    if not data_any_of_count2:
        try:
            validate____defs_seed(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count2 += 1
        except SchemaError: pass
    if not data_any_of_count2:
        try:
            validate____defs_inputref(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count2 += 1
        except SchemaError: pass
    if not data_any_of_count2:
        raise SchemaError("" + (name_prefix or "data") + " cannot be validated by any definition")
    return data

def validate____defs_seed(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (str)):
        raise SchemaError("" + (name_prefix or "data") + " must be string")
    if isinstance(data, str):
        if not REGEX_PATTERNS['^(0|[1-9][0-9]{0,19})$'].search(data):
            raise SchemaError("" + (name_prefix or "data") + " must match pattern ^(0|[1-9][0-9]{0,19})$")
    return data

def validate____defs_numbervalue(data, custom_formats={}, name_prefix=None):
    data_any_of_count3 = 0
    if not data_any_of_count3:
        try:
            if not isinstance(data, (int, float, Decimal)) or isinstance(data, bool):
                raise SchemaError("" + (name_prefix or "data") + " must be number")
            if isinstance(data, (int, float, Decimal)) and not isinstance(data, bool):
                if data < -1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + " must be bigger than or equal to -1000000000.0")
                if data > 1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + " must be smaller than or equal to 1000000000.0")
            data_any_of_count3 += 1
        except SchemaError: pass
    if not data_any_of_count3:
        try:
            validate____defs_inputref(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count3 += 1
        except SchemaError: pass
    if not data_any_of_count3:
        raise SchemaError("" + (name_prefix or "data") + " cannot be validated by any definition")
    return data

def validate____defs_optionalopref(data, custom_formats={}, name_prefix=None):
    data_any_of_count4 = 0
    if not data_any_of_count4:
        try:
            if not isinstance(data, (NoneType)):
                raise SchemaError("" + (name_prefix or "data") + " must be null")
            data_any_of_count4 += 1
        except SchemaError: pass
    if not data_any_of_count4:
        try:
            validate____defs_opref(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count4 += 1
        except SchemaError: pass
    if not data_any_of_count4:
        raise SchemaError("" + (name_prefix or "data") + " cannot be validated by any definition")
    return data

def validate____defs_noise(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'seed', 'shape']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'noise'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: noise")
        if "seed" in data_keys:
            data_keys.remove("seed")
            data__seed = data["seed"]
            validate____defs_seedvalue(data__seed, custom_formats, (name_prefix or "data") + ".seed")
        if "shape" in data_keys:
            data_keys.remove("shape")
            data__shape = data["shape"]
            if not isinstance(data__shape, (list, tuple)):
                raise SchemaError("" + (name_prefix or "data") + ".shape must be array")
            data__shape_is_list = isinstance(data__shape, (list, tuple))
            if data__shape_is_list:
                data__shape_len = len(data__shape)
                if data__shape_len < 5:
                    raise SchemaError("" + (name_prefix or "data") + ".shape must contain at least 5 items")
                if data__shape_len > 5:
                    raise SchemaError("" + (name_prefix or "data") + ".shape must contain less than or equal to 5 items")
                for data__shape_x, data__shape_item in enumerate(data__shape):
                    if not isinstance(data__shape_item, (int)) or isinstance(data__shape_item, bool):
                        raise SchemaError("" + (name_prefix or "data") + ".shape[{data__shape_x}]".format(**locals()) + " must be integer")
                    if isinstance(data__shape_item, (int, float, Decimal)) and not isinstance(data__shape_item, bool):
                        if data__shape_item < 1:
                            raise SchemaError("" + (name_prefix or "data") + ".shape[{data__shape_x}]".format(**locals()) + " must be bigger than or equal to 1")
                        if data__shape_item > 65536:
                            raise SchemaError("" + (name_prefix or "data") + ".shape[{data__shape_x}]".format(**locals()) + " must be smaller than or equal to 65536")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_encodeimage(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'component', 'image', 'width', 'height']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'encode_image'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: encode_image")
        if "component" in data_keys:
            data_keys.remove("component")
            data__component = data["component"]
            validate____defs_name(data__component, custom_formats, (name_prefix or "data") + ".component")
        if "image" in data_keys:
            data_keys.remove("image")
            data__image = data["image"]
            validate____defs_imagevalue(data__image, custom_formats, (name_prefix or "data") + ".image")
        if "width" in data_keys:
            data_keys.remove("width")
            data__width = data["width"]
            if not isinstance(data__width, (int)) or isinstance(data__width, bool):
                raise SchemaError("" + (name_prefix or "data") + ".width must be integer")
            if isinstance(data__width, (int, float, Decimal)) and not isinstance(data__width, bool):
                if data__width < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".width must be bigger than or equal to 1")
                if data__width > 8192:
                    raise SchemaError("" + (name_prefix or "data") + ".width must be smaller than or equal to 8192")
        if "height" in data_keys:
            data_keys.remove("height")
            data__height = data["height"]
            if not isinstance(data__height, (int)) or isinstance(data__height, bool):
                raise SchemaError("" + (name_prefix or "data") + ".height must be integer")
            if isinstance(data__height, (int, float, Decimal)) and not isinstance(data__height, bool):
                if data__height < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".height must be bigger than or equal to 1")
                if data__height > 8192:
                    raise SchemaError("" + (name_prefix or "data") + ".height must be smaller than or equal to 8192")
        if "later" in data_keys:
            data_keys.remove("later")
            data__later = data["later"]
            validate____defs_later(data__later, custom_formats, (name_prefix or "data") + ".later")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_later(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['component', 'pieces', 'frames']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "component" in data_keys:
            data_keys.remove("component")
            data__component = data["component"]
            validate____defs_name(data__component, custom_formats, (name_prefix or "data") + ".component")
        if "pieces" in data_keys:
            data_keys.remove("pieces")
            data__pieces = data["pieces"]
            if not isinstance(data__pieces, (int)) or isinstance(data__pieces, bool):
                raise SchemaError("" + (name_prefix or "data") + ".pieces must be integer")
            if isinstance(data__pieces, (int, float, Decimal)) and not isinstance(data__pieces, bool):
                if data__pieces < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".pieces must be bigger than or equal to 1")
                if data__pieces > 4096:
                    raise SchemaError("" + (name_prefix or "data") + ".pieces must be smaller than or equal to 4096")
        if "frames" in data_keys:
            data_keys.remove("frames")
            data__frames = data["frames"]
            if not isinstance(data__frames, (int)) or isinstance(data__frames, bool):
                raise SchemaError("" + (name_prefix or "data") + ".frames must be integer")
            if isinstance(data__frames, (int, float, Decimal)) and not isinstance(data__frames, bool):
                if data__frames < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".frames must be bigger than or equal to 1")
                if data__frames > 64:
                    raise SchemaError("" + (name_prefix or "data") + ".frames must be smaller than or equal to 64")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_imagevalue(data, custom_formats={}, name_prefix=None):
    data_any_of_count5 = 0
    if not data_any_of_count5:
        try:
            validate____defs_path(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count5 += 1
        except SchemaError: pass
    if not data_any_of_count5:
        try:
            validate____defs_inputref(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count5 += 1
        except SchemaError: pass
    if not data_any_of_count5:
        raise SchemaError("" + (name_prefix or "data") + " cannot be validated by any definition")
    return data

def validate____defs_zerotext(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'text', 'keep_mask']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'zero_text'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: zero_text")
        if "text" in data_keys:
            data_keys.remove("text")
            data__text = data["text"]
            validate____defs_opref(data__text, custom_formats, (name_prefix or "data") + ".text")
        if "keep_mask" in data_keys:
            data_keys.remove("keep_mask")
            data__keepmask = data["keep_mask"]
            if not isinstance(data__keepmask, (bool)):
                raise SchemaError("" + (name_prefix or "data") + ".keep_mask must be boolean")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_loadtext(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'features']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'load_text'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: load_text")
        if "features" in data_keys:
            data_keys.remove("features")
            data__features = data["features"]
            validate____defs_path(data__features, custom_formats, (name_prefix or "data") + ".features")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_encodetext(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['id', 'op', 'component', 'text']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "id" in data_keys:
            data_keys.remove("id")
            data__id = data["id"]
            validate____defs_name(data__id, custom_formats, (name_prefix or "data") + ".id")
        if "op" in data_keys:
            data_keys.remove("op")
            data__op = data["op"]
            if not (isinstance(data__op, str) and data__op == 'encode_text'):
                raise SchemaError("" + (name_prefix or "data") + ".op must be same as const definition: encode_text")
        if "component" in data_keys:
            data_keys.remove("component")
            data__component = data["component"]
            validate____defs_name(data__component, custom_formats, (name_prefix or "data") + ".component")
        if "text" in data_keys:
            data_keys.remove("text")
            data__text = data["text"]
            validate____defs_textvalue(data__text, custom_formats, (name_prefix or "data") + ".text")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_textvalue(data, custom_formats={}, name_prefix=None):
    data_any_of_count6 = 0
    if not data_any_of_count6:
        try:
            if not isinstance(data, (str)):
                raise SchemaError("" + (name_prefix or "data") + " must be string")
            if isinstance(data, str):
                data_len = len(data)
                if data_len > 20000:
                    raise SchemaError("" + (name_prefix or "data") + " must be shorter than or equal to 20000 characters")
            data_any_of_count6 += 1
        except SchemaError: pass
    if not data_any_of_count6:
        try:
            validate____defs_inputref(data, custom_formats, (name_prefix or "data") + "")
            data_any_of_count6 += 1
        except SchemaError: pass
    if not data_any_of_count6:
        raise SchemaError("" + (name_prefix or "data") + " cannot be validated by any definition")
    return data

def validate____defs_input(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['type']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "type" in data_keys:
                data_keys.remove("type")
                data__type = data["type"]
                if not (isinstance(data__type, str) and data__type == 'text'):
                    raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: text")
    except SchemaError:
        pass
    else:
        validate____defs_textinput(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['type']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "type" in data_keys:
                data_keys.remove("type")
                data__type = data["type"]
                if not (isinstance(data__type, str) and data__type == 'seed'):
                    raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: seed")
    except SchemaError:
        pass
    else:
        validate____defs_seedinput(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['type']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "type" in data_keys:
                data_keys.remove("type")
                data__type = data["type"]
                if not (isinstance(data__type, str) and data__type == 'integer'):
                    raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: integer")
    except SchemaError:
        pass
    else:
        validate____defs_integerinput(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['type']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "type" in data_keys:
                data_keys.remove("type")
                data__type = data["type"]
                if not (isinstance(data__type, str) and data__type == 'number'):
                    raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: number")
    except SchemaError:
        pass
    else:
        validate____defs_numberinput(data, custom_formats, (name_prefix or "data") + "")
    try:
        data_is_dict = isinstance(data, dict)
        if data_is_dict:
            data__missing_keys = set(['type']) - data.keys()
            if data__missing_keys:
                raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
            data_keys = set(data.keys())
            if "type" in data_keys:
                data_keys.remove("type")
                data__type = data["type"]
                if not (isinstance(data__type, str) and data__type == 'image'):
                    raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: image")
    except SchemaError:
        pass
    else:
        validate____defs_imageinput(data, custom_formats, (name_prefix or "data") + "")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['type']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "type" in data_keys:
            data_keys.remove("type")
            data__type = data["type"]
            if not (isinstance(data__type, str) and data__type == 'text' or isinstance(data__type, str) and data__type == 'seed' or isinstance(data__type, str) and data__type == 'integer' or isinstance(data__type, str) and data__type == 'number' or isinstance(data__type, str) and data__type == 'image'):
                raise SchemaError("" + (name_prefix or "data") + ".type must be one of ['text', 'seed', 'integer', 'number', 'image']")
    return data

def validate____defs_imageinput(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['type', 'label', 'width', 'height', 'default']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "type" in data_keys:
            data_keys.remove("type")
            data__type = data["type"]
            if not (isinstance(data__type, str) and data__type == 'image'):
                raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: image")
        if "label" in data_keys:
            data_keys.remove("label")
            data__label = data["label"]
            if not isinstance(data__label, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".label must be string")
            if isinstance(data__label, str):
                data__label_len = len(data__label)
                if data__label_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".label must be shorter than or equal to 200 characters")
        if "width" in data_keys:
            data_keys.remove("width")
            data__width = data["width"]
            if not isinstance(data__width, (int)) or isinstance(data__width, bool):
                raise SchemaError("" + (name_prefix or "data") + ".width must be integer")
            if isinstance(data__width, (int, float, Decimal)) and not isinstance(data__width, bool):
                if data__width < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".width must be bigger than or equal to 1")
                if data__width > 8192:
                    raise SchemaError("" + (name_prefix or "data") + ".width must be smaller than or equal to 8192")
        if "height" in data_keys:
            data_keys.remove("height")
            data__height = data["height"]
            if not isinstance(data__height, (int)) or isinstance(data__height, bool):
                raise SchemaError("" + (name_prefix or "data") + ".height must be integer")
            if isinstance(data__height, (int, float, Decimal)) and not isinstance(data__height, bool):
                if data__height < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".height must be bigger than or equal to 1")
                if data__height > 8192:
                    raise SchemaError("" + (name_prefix or "data") + ".height must be smaller than or equal to 8192")
        if "default" in data_keys:
            data_keys.remove("default")
            data__default = data["default"]
            validate____defs_path(data__default, custom_formats, (name_prefix or "data") + ".default")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_numberinput(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['type', 'label', 'default', 'minimum', 'maximum']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "type" in data_keys:
            data_keys.remove("type")
            data__type = data["type"]
            if not (isinstance(data__type, str) and data__type == 'number'):
                raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: number")
        if "label" in data_keys:
            data_keys.remove("label")
            data__label = data["label"]
            if not isinstance(data__label, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".label must be string")
            if isinstance(data__label, str):
                data__label_len = len(data__label)
                if data__label_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".label must be shorter than or equal to 200 characters")
        if "default" in data_keys:
            data_keys.remove("default")
            data__default = data["default"]
            if not isinstance(data__default, (int, float, Decimal)) or isinstance(data__default, bool):
                raise SchemaError("" + (name_prefix or "data") + ".default must be number")
            if isinstance(data__default, (int, float, Decimal)) and not isinstance(data__default, bool):
                if data__default < -1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + ".default must be bigger than or equal to -1000000000.0")
                if data__default > 1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + ".default must be smaller than or equal to 1000000000.0")
        if "minimum" in data_keys:
            data_keys.remove("minimum")
            data__minimum = data["minimum"]
            if not isinstance(data__minimum, (int, float, Decimal)) or isinstance(data__minimum, bool):
                raise SchemaError("" + (name_prefix or "data") + ".minimum must be number")
            if isinstance(data__minimum, (int, float, Decimal)) and not isinstance(data__minimum, bool):
                if data__minimum < -1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + ".minimum must be bigger than or equal to -1000000000.0")
                if data__minimum > 1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + ".minimum must be smaller than or equal to 1000000000.0")
        if "maximum" in data_keys:
            data_keys.remove("maximum")
            data__maximum = data["maximum"]
            if not isinstance(data__maximum, (int, float, Decimal)) or isinstance(data__maximum, bool):
                raise SchemaError("" + (name_prefix or "data") + ".maximum must be number")
            if isinstance(data__maximum, (int, float, Decimal)) and not isinstance(data__maximum, bool):
                if data__maximum < -1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + ".maximum must be bigger than or equal to -1000000000.0")
                if data__maximum > 1000000000.0:
                    raise SchemaError("" + (name_prefix or "data") + ".maximum must be smaller than or equal to 1000000000.0")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_integerinput(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['type', 'label', 'default', 'minimum', 'maximum']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "type" in data_keys:
            data_keys.remove("type")
            data__type = data["type"]
            if not (isinstance(data__type, str) and data__type == 'integer'):
                raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: integer")
        if "label" in data_keys:
            data_keys.remove("label")
            data__label = data["label"]
            if not isinstance(data__label, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".label must be string")
            if isinstance(data__label, str):
                data__label_len = len(data__label)
                if data__label_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".label must be shorter than or equal to 200 characters")
        if "default" in data_keys:
            data_keys.remove("default")
            data__default = data["default"]
            if not isinstance(data__default, (int)) or isinstance(data__default, bool):
                raise SchemaError("" + (name_prefix or "data") + ".default must be integer")
            if isinstance(data__default, (int, float, Decimal)) and not isinstance(data__default, bool):
                if data__default < -9007199254740991:
                    raise SchemaError("" + (name_prefix or "data") + ".default must be bigger than or equal to -9007199254740991")
                if data__default > 9007199254740991:
                    raise SchemaError("" + (name_prefix or "data") + ".default must be smaller than or equal to 9007199254740991")
        if "minimum" in data_keys:
            data_keys.remove("minimum")
            data__minimum = data["minimum"]
            if not isinstance(data__minimum, (int)) or isinstance(data__minimum, bool):
                raise SchemaError("" + (name_prefix or "data") + ".minimum must be integer")
            if isinstance(data__minimum, (int, float, Decimal)) and not isinstance(data__minimum, bool):
                if data__minimum < -9007199254740991:
                    raise SchemaError("" + (name_prefix or "data") + ".minimum must be bigger than or equal to -9007199254740991")
                if data__minimum > 9007199254740991:
                    raise SchemaError("" + (name_prefix or "data") + ".minimum must be smaller than or equal to 9007199254740991")
        if "maximum" in data_keys:
            data_keys.remove("maximum")
            data__maximum = data["maximum"]
            if not isinstance(data__maximum, (int)) or isinstance(data__maximum, bool):
                raise SchemaError("" + (name_prefix or "data") + ".maximum must be integer")
            if isinstance(data__maximum, (int, float, Decimal)) and not isinstance(data__maximum, bool):
                if data__maximum < -9007199254740991:
                    raise SchemaError("" + (name_prefix or "data") + ".maximum must be bigger than or equal to -9007199254740991")
                if data__maximum > 9007199254740991:
                    raise SchemaError("" + (name_prefix or "data") + ".maximum must be smaller than or equal to 9007199254740991")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_seedinput(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['type', 'default']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "type" in data_keys:
            data_keys.remove("type")
            data__type = data["type"]
            if not (isinstance(data__type, str) and data__type == 'seed'):
                raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: seed")
        if "label" in data_keys:
            data_keys.remove("label")
            data__label = data["label"]
            if not isinstance(data__label, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".label must be string")
            if isinstance(data__label, str):
                data__label_len = len(data__label)
                if data__label_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".label must be shorter than or equal to 200 characters")
        if "default" in data_keys:
            data_keys.remove("default")
            data__default = data["default"]
            validate____defs_seed(data__default, custom_formats, (name_prefix or "data") + ".default")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data

def validate____defs_textinput(data, custom_formats={}, name_prefix=None):
    if not isinstance(data, (dict)):
        raise SchemaError("" + (name_prefix or "data") + " must be object")
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['type', 'label', 'default', 'max_length']) - data.keys()
        if data__missing_keys:
            raise SchemaError("" + (name_prefix or "data") + " must contain " + (str(sorted(data__missing_keys)) + " properties"))
        data_keys = set(data.keys())
        if "type" in data_keys:
            data_keys.remove("type")
            data__type = data["type"]
            if not (isinstance(data__type, str) and data__type == 'text'):
                raise SchemaError("" + (name_prefix or "data") + ".type must be same as const definition: text")
        if "label" in data_keys:
            data_keys.remove("label")
            data__label = data["label"]
            if not isinstance(data__label, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".label must be string")
            if isinstance(data__label, str):
                data__label_len = len(data__label)
                if data__label_len > 200:
                    raise SchemaError("" + (name_prefix or "data") + ".label must be shorter than or equal to 200 characters")
        if "default" in data_keys:
            data_keys.remove("default")
            data__default = data["default"]
            if not isinstance(data__default, (str)):
                raise SchemaError("" + (name_prefix or "data") + ".default must be string")
            if isinstance(data__default, str):
                data__default_len = len(data__default)
                if data__default_len > 20000:
                    raise SchemaError("" + (name_prefix or "data") + ".default must be shorter than or equal to 20000 characters")
        if "max_length" in data_keys:
            data_keys.remove("max_length")
            data__maxlength = data["max_length"]
            if not isinstance(data__maxlength, (int)) or isinstance(data__maxlength, bool):
                raise SchemaError("" + (name_prefix or "data") + ".max_length must be integer")
            if isinstance(data__maxlength, (int, float, Decimal)) and not isinstance(data__maxlength, bool):
                if data__maxlength < 1:
                    raise SchemaError("" + (name_prefix or "data") + ".max_length must be bigger than or equal to 1")
                if data__maxlength > 20000:
                    raise SchemaError("" + (name_prefix or "data") + ".max_length must be smaller than or equal to 20000")
        if data_keys:
            raise SchemaError("" + (name_prefix or "data") + " must not contain "+str(data_keys)+" properties")
    return data
