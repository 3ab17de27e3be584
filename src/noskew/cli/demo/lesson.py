"""The chapter on training: the same model on leaky and on honest features."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from noskew.cli.console import out
from noskew.cli.demo.stage import Stage, say, show
from noskew.cli.progress import Bars
from noskew.cli.render.styled_table import new_table
from noskew.training.frames import to_arrow

#: Features whose presence differs most between the two sets, to be shown.
_SHOWN = 3


def teach(stage: Stage, train: ModuleType, questions: Any) -> None:
    """Build both training sets, train on both, and show what each promises and gets."""
    leaky = _build(stage, train, questions, "leaky", known_at=None)
    honest = _build(stage, train, questions, "honest", known_at="row")
    features = [c for c in honest if c not in questions.columns] + [*train.REQUEST, *train.SCHEDULE]
    _explain(leaky, honest, features)
    say("\nTwo models of boosted trees, trained on the first two thirds of the time…")
    scores = train.compare(leaky, honest, features)
    _report(scores, f"{train.first_later_day(honest):%d %B}")


def _build(stage: Stage, train: ModuleType, questions: Any, name: str, *, known_at: Any) -> Any:
    rows = to_arrow(questions)
    views = stage.store.applied.project.service(train.SERVICE).views
    with Bars({name: len(rows) * len(views)}, console=out) as bars:
        training_set = stage.store.get_historical_features(
            rows, train.SERVICE, known_at=known_at, progress=lambda _, n: bars(name, n)
        )
    added = len(training_set.table.column_names) - len(rows.column_names)
    say(
        f"  known_at={known_at!r:<6} {len(training_set):,} rows × {added} features "
        f"from {len(views)} views "
        f"in [cyan]{bars.seconds:.1f} s[/cyan]"
    )
    return training_set.to_pandas()


def _explain(leaky: Any, honest: Any, features: list[str]) -> None:
    there = {f: (leaky[f].notna().mean(), honest[f].notna().mean()) for f in features}
    widest = sorted(there, key=lambda f: there[f][0] - there[f][1], reverse=True)[:_SHOWN]
    table = new_table(
        "",
        "a value is there for",
        "known_at=None",
        'known_at="row"',
        numbers=("known_at=None", 'known_at="row"'),
    )
    for feature in widest:
        table.add_row(feature, *(f"{share:.0%} of rows" for share in there[feature]))
    show(table)
    say(
        "An hour before departure, the flights of the last hour are still in the air. The leaky set"
        "\nhas their delays anyway; online nobody will."
    )


def _report(scores: dict[str, float], since: str) -> None:
    table = new_table(
        f"Flights from {since} on, ranked by the model (AUC: 0.5 is a coin, 1 is perfect)",
        "trained on",
        "promised offline",
        "got when served",
        "",
        numbers=("promised offline", "got when served"),
    )
    promised, real, honest, schedule = (
        scores[k] for k in ("promised_leaky", "real_leaky", "honest", "schedule")
    )
    rows = [
        ("leaky features", promised, real, "red", f"{real - promised:+.3f} once served"),
        (
            "honest features",
            honest,
            honest,
            "green",
            f"as promised, {honest - real:+.3f} on the leaky one",
        ),
        ("the schedule alone", schedule, schedule, "dim", "no feature store"),
    ]
    for name, offline, served, colour, note in rows:
        table.add_row(name, f"{offline:.3f}", f"[{colour}]{served:.3f}[/]", f"[{colour}]{note}[/]")
    show(table)
