"""The generated part of the documentation: docs/reference, and the figures in README.md.

    python -m docs.build

The reference is made of signatures and docstrings, of the configuration's fields, and of the
commands' help, so it cannot say anything else than they do. The same code gives the same bytes; a
test compares what is committed with what this module makes.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

import noskew
from docs import dialects, figures
from noskew import config, errors
from noskew.project_definitions import ProjectDefinitions

REFERENCE = figures.ROOT / "docs" / "reference"
_NOTE = "<!-- made by docs/build.py from the code; edit the docstrings and run `make docs` -->"
_WIDTH = 96
#: Members that are there for noskew itself: how definitions are stored and compared.
_INTERNAL = frozenset({"identity", "log_identity", "to_dict", "from_dict", "of", "rooted", "shown"})
#: What each key of the configuration means. A test asks for an entry for every key.
KEYS = {
    "project": "the project's name: letters, digits and underscores",
    "features": "the directory of the feature files, which is also the name of their package",
    "runner": "what makes training sets, ingests and materializes: `in_process`, `spark` or "
    "[another](runners.md#open_runner)",
    "registry.url": "SQLAlchemy URL: `sqlite:///…` or `postgresql://…`",
    "offline.catalog": "SQLAlchemy URL of the Iceberg catalog: as for the registry",
    "offline.warehouse": "where tables are: a path from the project, or a URI such as `s3://…`",
    "offline.buckets": "buckets of new tables, 1 to 4096; a table keeps its number",
    "offline.properties": "settings of pyiceberg, such as `s3.endpoint` and `s3.region`",
    "online.url": "`lmdb:///…`, `redis://…`, `dynamodb://…` or [others](stores.md#open_store)",
    "serve.host": "where to listen; other than loopback needs `noskew serve --insecure`",
    "serve.port": "the port",
    "serve.workers": "processes that answer",
    "serve.max_rows": "rows of a request; more are refused with 413",
    "serve.body_timeout_s": "seconds a request's body may take to arrive; then it is refused (408)",
    "serve.audit": "share of entities whose answers are kept for the [audit](../how-to/audit.md)",
    "serve.max_body_bytes": "bytes of a request's body; more are refused with 413",
    "spark.master": "where Spark runs: `local[*]`, `spark://host:port`, `yarn`, `k8s://…`",
    "spark.conf": "settings of Spark, such as `spark.executor.memory`",
}
#: A line of a table in reStructuredText: signs of equality, one run for each column.
_RULE = re.compile(r"=+(?: +=+)+")
_SECTIONS = ("Parameters", "Attributes", "Returns", "Raises", "Notes")


# ---------------------------------------------------------------- what is on which page


def pages() -> dict[str, str]:
    """Every page of the reference by file name."""
    texts = {
        "definitions.md": _objects(
            "Definitions",
            "What you write into `features/*.py`. All are frozen, and checked when they are made.",
            [
                "Entity",
                "Source",
                "FeatureView",
                "FeatureService",
                "OnDemand",
                "expressions",
                "per_row",
                "sql",
                "pyspark",
                "pandas",
                "polars",
                "arrow",
                "noskew.types:DType",
            ],
        ),
        "aggregations.md": _aggregations(),
        "dialects.md": f"# Dialects\n\n{_NOTE}\n\n{dialects.page()}",
        "connectors.md": _objects(
            "Connectors",
            "Where the data of a source is: `Source(batch=…)`, `Source(stream=…)`, and "
            "`store.ingest(name, connector)`.",
            [
                "Parquet",
                "Csv",
                "Json",
                "Frame",
                "Iceberg",
                "Delta",
                "DuckDb",
                "Postgres",
                "Kafka",
                "LocalLog",
                "noskew.definitions.connectors:Connector",
                "noskew.definitions.connectors:Stream",
            ],
        ),
        "feature-store.md": _objects(
            "Feature store",
            "The face of a project, and what its methods give.",
            [
                "FeatureStore",
                "noskew.training.training_set:TrainingSet",
                "noskew.training.spark.training_set:SparkTrainingSet",
                "noskew.reading.reader:OnlineReader",
                "noskew.wire.online_features:OnlineFeatures",
                "noskew.wire.pushed:Pushed",
                "noskew.training.ingest:IngestReport",
                "noskew.training.materialize:Materialized",
                "noskew.training.compact:Compacted",
                "noskew.training.materializations:Pruned",
                "noskew.registry.records.certificate:Certificate",
                "noskew.registry.records.certificate:PathReport",
                "noskew.registry.records.certificate:PathDifference",
                "noskew.audit.report:SkewReport",
                "noskew.audit.report:ServiceSkew",
                "noskew.audit.report:FeatureSkew",
                "noskew.audit.report:Example",
                "noskew.registry.plan:Plan",
                "noskew.registry.plan:Change",
                "SystemClock",
                "FixedClock",
                "Client",
                "AsyncClient",
            ],
        ),
        "configuration.md": _configuration(),
        "commands.md": _commands(),
        "http.md": _http(),
        "stores.md": _objects(
            "Stores",
            "The contracts that every store of a kind keeps, and the suites that prove it.",
            [
                "noskew.stores.online:open_store",
                "noskew.stores.online.address:StoreAddress",
                "noskew.stores.online.dynamodb:create_table",
                "noskew.stores.online.base:OnlineStore",
                "noskew.testing.online_store:OnlineStoreTests",
                "noskew.testing.online_store.suite:OnlineStoreSuite",
                "noskew.stores.offline.opening:open_offline_store",
                "noskew.stores.offline.base:OfflineStore",
                "noskew.stores.offline.iceberg:IcebergStore",
                "noskew.testing.offline_store:OfflineStoreTests",
                "noskew.testing.offline_store.suite:OfflineStoreSuite",
                "noskew.stores.log:open_log",
                "noskew.stores.sources:open_source",
            ],
        ),
        "registry.md": _objects(
            "Registry",
            "The contract of a registry, and the suite that proves it. Records are values under a "
            "key of a declared kind.",
            [
                "noskew.registry.base:Registry",
                "noskew.registry.versions:Applied",
                "noskew.registry.versions:Version",
                "noskew.registry.versions:StoredDefinition",
                "noskew.registry.training_sets:SavedTrainingSet",
                "noskew.registry.records.record:RecordKind",
                "noskew.registry.records.record:Record",
                "noskew.registry.records.keys:DefinitionKey",
                "noskew.registry.records.views:MaterializedUntil",
                "noskew.registry.records.views:Exemption",
                "noskew.registry.records.streaming:StreamGeneration",
                "noskew.registry.records.streaming:Assignments",
                "noskew.registry.records.serving:ServedDefinition",
                "noskew.registry.records.serving:SkewAudit",
                "noskew.registry.records.serving:SkewCounts",
                "noskew.testing.registry:RegistryTests",
                "noskew.testing.registry.suite:RegistrySuite",
            ],
        ),
        "runners.md": _objects(
            "Runners",
            "The contract of what hands rows to tasks, and the suite that proves it.",
            [
                "noskew.runners.opening:open_runner",
                "noskew.runners.base:Runner",
                "noskew.runners.base:Piece",
                "noskew.testing.runner:RunnerTests",
            ],
        ),
        "errors.md": _errors(),
    }
    return {name: f"{text.rstrip()}\n" for name, text in texts.items()}


def _objects(title: str, about: str, names: Iterable[str]) -> str:
    return "\n\n".join([f"# {title}", _NOTE, about, *(_object(_find(n)) for n in names)])


def _find(name: str) -> Any:
    module, _, attribute = name.rpartition(":")
    return getattr(importlib.import_module(module) if module else noskew, attribute)


# ---------------------------------------------------------------- classes and functions


def _object(item: Any) -> str:
    parts = [f"## {item.__name__}", _fenced(_signature(item)), markdown(_doc(item))]
    if inspect.isclass(item):
        parts += [_member(item, name) for name in _public(item)]
    return "\n\n".join(part for part in parts if part)


def _public(owner: type) -> list[str]:
    """Methods and properties that are documented, in the order of the code; tests left out."""
    names = []
    # What a project's definitions can do is a part of its face.
    parts = [kind for kind in owner.__mro__ if kind in (owner, ProjectDefinitions)]
    for name in chain.from_iterable(vars(part) for part in reversed(parts)):
        member = inspect.getattr_static(owner, name)
        shown = name == "__getitem__" or not name.startswith(("_", "test_"))
        kinds = (property, classmethod, staticmethod)
        is_method = inspect.isfunction(member) or isinstance(member, kinds)
        is_method = is_method or hasattr(member, "func")  # cached_property
        if shown and is_method and name not in _INTERNAL and _member_doc(owner, name):
            names.append(name)
    return names


def _member(owner: type, name: str) -> str:
    member = inspect.getattr_static(owner, name)
    if isinstance(member, property) or hasattr(member, "func"):
        kind = getattr(member, "fget", None) or getattr(member, "func", None)
        returned = inspect.signature(kind).return_annotation if kind else inspect.Signature.empty
        heading = f"{name}: {_annotation(returned)}"
    else:
        heading = _signature(getattr(owner, name))
        if name == "__getitem__":
            heading = "view[" + heading.removeprefix("__getitem__(").replace(") ->", "] ->")
    anchor = f"### {owner.__name__}.{name}".replace(".__getitem__", "[…]")
    return "\n\n".join([anchor, _fenced(heading), markdown(_member_doc(owner, name))])


def _member_doc(owner: type, name: str) -> str:
    """The docstring of a member, or the one it inherits."""
    for kind in owner.__mro__:
        member = inspect.getattr_static(kind, name, None) if name in vars(kind) else None
        text = getattr(getattr(member, "func", member), "__doc__", None)
        if text:
            return inspect.cleandoc(text)
    return ""


def _doc(item: Any) -> str:
    return inspect.cleandoc(item.__doc__ or "")


def _signature(item: Callable[..., Any]) -> str:
    """A call as one would write it, broken into lines if it is long."""
    signature = inspect.signature(item)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    shown: list[str] = []
    starred = False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not starred:
            shown.append("*")
            starred = True
        starred = starred or p.kind is p.VAR_POSITIONAL
        shown.append(_parameter(p))
    name = item.__name__
    result = "" if inspect.isclass(item) else f" -> {_annotation(signature.return_annotation)}"
    line = f"{name}({', '.join(shown)}){result}"
    if len(line) <= _WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {p},\n" for p in shown) + f"){result}"


def _parameter(p: inspect.Parameter) -> str:
    star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    text = star + p.name
    if p.annotation is not p.empty:
        text += f": {_annotation(p.annotation)}"
    return text if p.default is p.empty else f"{text} = {p.default!r}"


def _annotation(given: Any) -> str:
    if given is inspect.Signature.empty:
        return "Any"
    return given if isinstance(given, str) else getattr(given, "__name__", str(given))


# ---------------------------------------------------------------- the other kinds of page


def _aggregations() -> str:
    from noskew.definitions import aggregation

    names = [n for n in noskew.__all__ if n != "latest" and hasattr(aggregation, n)]
    kinds = ["| aggregate | takes |", "|---|---|"]
    for function, taken in aggregation.INPUT_KINDS.items():
        kinds.append(f"| `{function}` | {', '.join(sorted(taken))} |")
    return "\n\n".join(
        [
            "# Aggregations",
            _NOTE,
            "What you write into `FeatureView(features=[…])`. Null inputs are skipped, and the "
            "order of arrival never matters. [Concepts](../concepts.md#windows-hops-and-tiles) "
            "draws windows.",
            "## Options of every aggregation",
            markdown(_doc(aggregation.Options).partition("\n\n")[2]),
            'The name of a feature is made of column, function and window: `mean("delay", '
            'window="1h")` is `delay_mean_1h`, `count(where="late", window="6h")` is '
            "`late_count_6h`.",
            _object(noskew.latest),
            *(_object(getattr(noskew, name)) for name in names),
            "## Types of inputs",
            "\n".join(kinds),
        ]
    )


def _configuration() -> str:
    parts = [
        "# Configuration",
        _NOTE,
        "`noskew.toml` in the project's directory. Every key but `project` has a default that "
        "needs nothing but files. An unknown key is an error.",
        "`${NAME}` in a value stands for the environment variable of that name, so that no "
        "password has to be in the file; one that is not set is an error. `$$` is one `$`.",
        *_struct(config.Config, ""),
    ]
    return "\n\n".join(parts)


def _struct(kind: type[msgspec.Struct], section: str) -> list[str]:
    """A table of one section's keys, then the sections in it."""
    rows, inner = ["| key | type | default | meaning |", "|---|---|---|---|"], []
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            inner += _struct(field.type, field.name)
            continue
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        shown = "required" if default is msgspec.NODEFAULT else f"`{_toml(default)}`"
        key = f"{section}.{field.name}" if section else field.name
        type_name = getattr(field.type, "__name__", field.type)
        rows.append(f"| `{key}` | {type_name} | {shown} | {KEYS.get(key, '')} |")
    heading = f"## [{section}]" if section else "## Top level"
    return [heading, markdown(_doc(kind)), "\n".join(rows), *inner]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _commands() -> str:
    import typer

    from noskew.cli.app import app

    group: Any = typer.main.get_command(app)
    parts = [
        "# Commands",
        _NOTE,
        "`noskew COMMAND --help` says the same. Options before the command:",
        _options(group.params),
    ]
    for name, command in every_command(group, "noskew"):
        about = inspect.cleandoc(command.help or "")
        parts += [f"## {name}", markdown(about), _options(command.params)]
    return "\n\n".join(part for part in parts if part)


def every_command(group: Any, start: str) -> Iterator[tuple[str, Any]]:
    """The commands of a group by their whole names, each followed by those that it groups."""
    for name, lazy in group.commands.items():
        command = lazy.load()
        yield f"{start} {name}", command
        if hasattr(command, "commands"):
            yield from every_command(command, f"{start} {name}")


def _options(params: Sequence[Any]) -> str:
    rows = []
    for p in params:
        is_option = p.param_type_name == "option"
        # Which of the options for completion there are depends on the shell of the moment.
        if (p.name or "").endswith(("help", "completion")) or getattr(p, "hidden", False):
            continue
        shown = (
            ", ".join(f"`{o}`" for o in sorted(p.opts, key=len))
            if is_option
            else (
                f"`{(p.metavar or p.name or '').strip('[]').upper()}`"
                + (" …" if p.nargs == -1 else "")
            )
        )
        needed = "" if is_option or not p.required else " *(required)*"
        needed = " *(required)*" if is_option and p.required else needed
        rows.append(f"| {shown}{needed} | {_cell(getattr(p, 'help', '') or '')} |")
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else ""


def _http() -> str:
    parts = [
        "# HTTP",
        _NOTE,
        "The routes are listed in [Materialize and serve]"
        "(../how-to/serve.md#serve-over-http); a running server describes itself at "
        "`/openapi.json` and `/docs`. These are the forms of bodies.",
    ]
    for module, title in (
        ("wire.json_values", "JSON values"),
        ("serving.http.json_answer", "JSON answers"),
        ("serving.http.arrow_rows", "Arrow requests"),
        ("wire.arrow_answer", "Arrow answers"),
        ("serving.http.feast", "Feast's shape"),
        ("serving.http.push", "Push"),
        ("serving.http.feast_push", "Feast's push"),
        ("wire.problem", "Errors"),
    ):
        text = _doc(importlib.import_module(f"noskew.{module}"))
        parts += [f"## {title}", markdown(text)]
    return "\n\n".join(parts)


def _errors() -> str:
    tree = (errors.__doc__ or "").split("\n\n")[1]
    rows = ["| error | HTTP | retry can help | |", "|---|---|---|---|"]
    for kind in error_classes():
        status = next(s for k, s in errors.HTTP_STATUS if issubclass(kind, k))
        retry = "yes" if kind.retryable else "no"
        rows.append(f"| `{kind.__name__}` | {status} | {retry} | {_cell(_doc(kind))} |")
    return "\n\n".join(
        [
            "# Errors",
            _NOTE,
            "Every error that noskew raises on purpose is in this tree. `error.retryable` says "
            "whether the same call may succeed later without a change. In parentheses: the "
            "built-in it also is.",
            _fenced(tree),
            "\n".join(rows),
        ]
    )


def error_classes() -> list[type[errors.NoskewError]]:
    """The classes of the tree, in the order of the code."""
    return [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.NoskewError)
    ]


# ---------------------------------------------------------------- docstrings to Markdown


def markdown(text: str) -> str:
    """A numpydoc docstring as Markdown: sections, literal blocks and roles."""
    out: list[str] = []
    lines = text.split("\n")
    section = ""
    while lines:
        line = lines.pop(0)
        if line in _SECTIONS and lines and set(lines[0]) == {"-"}:
            lines.pop(0)
            section = line
            out += ["", f"**{line}**", ""]
        elif _RULE.fullmatch(line):
            out += [*_ruled(line, lines), ""]
        elif line.endswith("::"):
            out += [line[:-1].rstrip(" :") + ":" if line != "::" else "", "", *_literal(lines)]
        elif section in ("Parameters", "Attributes") and line and not line.startswith(" "):
            out.append(f"- `{'`, `'.join(line.split(', '))}`: " + _indented(lines))
        else:
            out.append(line)
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()
    joined = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", joined)
    return joined.replace("``", "`") if "```" not in joined else _outside_fences(joined)


def _literal(lines: list[str]) -> list[str]:
    """Take the indented block that follows ``::``, as a fenced one."""
    while lines and not lines[0].strip():
        lines.pop(0)
    block = []
    while lines and (not lines[0].strip() or lines[0].startswith(" ")):
        block.append(lines.pop(0))
    return [*_fenced(textwrap.dedent("\n".join(block)).strip()).split("\n"), ""]


def _ruled(rule: str, lines: list[str]) -> list[str]:
    """Take a table that is ruled by signs of equality, as a fenced block."""
    block = [rule]
    while lines and block.count(rule) < 3:
        block.append(lines.pop(0).replace("``", ""))
    return _fenced("\n".join(block)).split("\n")


def _indented(lines: list[str]) -> str:
    """Take the indented lines of a parameter's description, as one line."""
    taken = []
    while lines and (lines[0].startswith(" ") or not lines[0]):
        if not lines[0] and not (len(lines) > 1 and lines[1].startswith(" ")):
            break
        taken.append(lines.pop(0).strip())
    return " ".join(taken).strip()


def _outside_fences(text: str) -> str:
    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(p if p.startswith("```") else p.replace("``", "`") for p in parts)


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def _cell(text: str) -> str:
    text = re.sub(r"\[/?b\]", "", " ".join(text.split()))
    return markdown(text).replace("|", "\\|")


def write(pages: Mapping[str, str], folder: Path) -> list[str]:
    """Write pages and remove those that are no longer made; returns the names that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
            changed.append(old.name)
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return sorted(changed)


def main() -> None:
    changed = write(pages(), REFERENCE)
    print(f"docs/reference: {', '.join(changed) if changed else 'as it was'}")
    figures.main()


if __name__ == "__main__":
    main()
