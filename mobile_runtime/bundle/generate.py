"""Writes the manifest's validator and types from manifest.schema.json, the one source of them all.

    python -m comfyui_pocketvideo.mobile_runtime.bundle.generate          rewrite the generated files
    python -m comfyui_pocketvideo.mobile_runtime.bundle.generate --check  fail when they are out of date

The device validates without any JSON Schema library, so what fastjsonschema compiles is committed, with its
exception replaced by our own. Only this command needs fastjsonschema; it is never imported at run time.
The phone's types are written here, too: generators of TypeScript make nothing of the schema's if and then.
"""

from __future__ import annotations

import argparse
import json
import keyword
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCHEMA = HERE / "manifest.schema.json"
PHONE = HERE.parent / "phone" / "src" / "engine"
TYPESCRIPT = PHONE / "manifest.generated.ts"
OPERATORS = PHONE / "bundle" / "graphOps.generated.ts"
_HEADER = "Generated from manifest.schema.json by generate.py: edit the schema, then run the command."
# JSON Schema counts 7.0 as an integer. A device loops over these values, so a fraction is refused here.
_LOOSE_INTEGER = " and not (isinstance({name}, float) and {name}.is_integer())"


def validator_source(schema: dict[str, Any]) -> str:
    """The source of a module with `validate(data)`, which depends on nothing but the standard library."""
    from fastjsonschema import compile_to_code

    # With an $id the function would be named after it.
    code = compile_to_code({key: value for key, value in schema.items() if key != "$id"})
    # The library's version must not make the committed file look out of date.
    code = re.sub(r"^VERSION = .*\n", "", code)
    code = re.sub(r"^from fastjsonschema import .*\n", "", code, flags=re.M)
    code = code.replace("JsonSchemaValuesException", "SchemaError").replace(
        "JsonSchemaValueException", "SchemaError"
    )
    code = code.replace("(SchemaError, SchemaError)", "SchemaError")
    # Only the message is kept: the rest repeats the schema in every line.
    code = re.sub(r", value=\w+, name=.*, rule='\w+'\)$", ")", code, flags=re.M)
    loose = re.escape(_LOOSE_INTEGER).replace(r"\{name\}", r"(\w+)", 1).replace(r"\{name\}", r"\1")
    code = re.sub(loose, "", code)
    head = (
        f'"""{_HEADER}"""\n# fmt: off\n# ruff: noqa\n# mypy: ignore-errors\n\n\n'
        "class SchemaError(ValueError):\n"
        '    """A value that the schema refuses; the message begins with its place."""\n\n\n'
    )
    return head + code.strip() + "\n"


def types_source(schema: dict[str, Any]) -> str:
    """The source of a module with one TypedDict, or union of them, per definition of the schema."""
    definitions: dict[str, dict[str, Any]] = schema["$defs"]
    parts = [_declare(name, body) for name, body in definitions.items()]
    parts.append(_declare(schema["title"], schema))
    head = (
        f'"""{_HEADER}"""\n\n# fmt: off\n# ruff: noqa\nfrom __future__ import annotations\n\n'
        "from typing import Literal, NotRequired, TypedDict, Union\n"
    )
    return head + "".join("\n\n" + part for part in _ordered(parts))


def _ordered(parts: list[tuple[bool, str]]) -> list[str]:
    """Classes first: an alias is evaluated when the module loads and may name any class."""
    return [text for alias, text in parts if not alias] + [text for alias, text in parts if alias]


def _declare(name: str, body: dict[str, Any]) -> tuple[bool, str]:
    if "allOf" in body:
        members = ", ".join(f'"{branch["then"]["$ref"].rsplit("/", 1)[1]}"' for branch in body["allOf"])
        return True, f"{name} = Union[{members}]\n"
    if body.get("type") != "object" or "properties" not in body:
        return True, f"{name} = {_hint(body, quoted=True)}\n"
    text = "\n".join(textwrap.wrap(body["description"], 100, subsequent_indent="    "))
    lines = [f"class {name}(TypedDict):", f'    """{text}"""', ""]
    for field, spec in body["properties"].items():
        if keyword.iskeyword(field):
            raise ValueError(
                f"The field {field} of {name} is a Python keyword, so it cannot be a TypedDict field."
            )
        hint = _hint(spec)
        lines.append(f"    {field}: {hint if field in body['required'] else f'NotRequired[{hint}]'}")
    return False, "\n".join(lines) + "\n"


def _hint(spec: dict[str, Any], quoted: bool = False) -> str:
    if "$ref" in spec:
        name = spec["$ref"].rsplit("/", 1)[1]
        return f'"{name}"' if quoted else name
    if "const" in spec:
        return f"Literal[{json.dumps(spec['const'])}]"
    if "enum" in spec:
        return f"Literal[{', '.join(json.dumps(value) for value in spec['enum'])}]"
    if "anyOf" in spec:
        return f"Union[{', '.join(_hint(option, quoted) for option in spec['anyOf'])}]"
    kind = spec["type"]
    if kind == "array":
        return f"list[{_hint(spec['items'], quoted)}]"
    if kind == "object":
        return f"dict[str, {_hint(spec['additionalProperties'], quoted)}]"
    return {"string": "str", "integer": "int", "number": "float", "null": "None", "boolean": "bool"}[kind]


def typescript_source(schema: dict[str, Any]) -> str:
    """The source of a module with one interface or type per definition of the schema."""
    named = [*schema["$defs"].items(), (schema["title"], schema)]
    return f"// {_HEADER}\n" + "".join("\n" + _declare_typescript(name, body) for name, body in named)


def _declare_typescript(name: str, body: dict[str, Any]) -> str:
    if "allOf" in body:
        members = " | ".join(branch["then"]["$ref"].rsplit("/", 1)[1] for branch in body["allOf"])
        return f"export type {name} = {members};\n"
    if body.get("type") != "object" or "properties" not in body:
        return f"export type {name} = {_typescript_hint(body)};\n"
    lines = [f"/** {body['description']} */", f"export interface {name} {{"]
    for field, spec in body["properties"].items():
        mark = "" if field in body["required"] else "?"
        lines.append(f"  readonly {field}{mark}: {_typescript_hint(spec)};")
    return "\n".join(lines) + "\n}\n"


def _typescript_hint(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        return str(spec["$ref"].rsplit("/", 1)[1])
    if "const" in spec:
        return json.dumps(spec["const"])
    if "enum" in spec:
        return " | ".join(json.dumps(value) for value in spec["enum"])
    if "anyOf" in spec:
        return " | ".join(_typescript_hint(option) for option in spec["anyOf"])
    kind = spec["type"]
    if kind == "array":
        return f"readonly ({_typescript_hint(spec['items'])})[]"
    if kind == "object":
        return f"Readonly<Record<string, {_typescript_hint(spec['additionalProperties'])}>>"
    return {"integer": "number"}.get(kind, str(kind))


def operators_source() -> str:
    """The source of a module with the operators that graphs may use, from onnx_policy.py."""
    from .onnx_policy import CONTRIB_OPS, STANDARD_OPS

    lines = ["// Generated from onnx_policy.py by generate.py: edit the policy, then run the command.", ""]
    for name, operators in (("STANDARD_OPS", STANDARD_OPS), ("CONTRIB_OPS", CONTRIB_OPS)):
        lines.append(f"export const {name}: ReadonlySet<string> = new Set([")
        lines += [f'  "{operator}",' for operator in sorted(operators)]
        lines.append("]);")
    return "\n".join(lines) + "\n"


def outputs() -> dict[Path, str]:
    """What the committed files must hold."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    return {
        HERE / "_validator.py": validator_source(schema),
        HERE / "_types.py": types_source(schema),
        TYPESCRIPT: typescript_source(schema),
        OPERATORS: operators_source(),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a file is out of date"
    )
    check = parser.parse_args(argv).check
    stale = [path for path, text in outputs().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            sys.stderr.write(f"{path.name} is out of date: run this command without --check.\n")
        else:
            path.write_text(outputs()[path], "utf-8")
            sys.stdout.write(f"wrote {path.name}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
