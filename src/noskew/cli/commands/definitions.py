"""plan, apply, diff, list, show: what is defined and what is applied."""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.cli.console import confirm, err, out, session

_CHANGES_PENDING = 3


def plan(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with code 3 if an apply would change anything.")
    ] = False,
) -> None:
    """Show what an apply would change, break and rebuild."""
    from noskew.cli.render import plan_text

    with session(ctx).store() as store:
        found = store.plan()
    for line in plan_text.lines(found):
        out.print(line, soft_wrap=True)
    if check and not found.is_empty:
        raise typer.Exit(_CHANGES_PENDING)


def apply(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    allow_breaking: Annotated[
        bool,
        typer.Option("--allow-breaking", help="With --yes: apply breaking changes, too."),
    ] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="Why; kept with it.")] = "",
    *,
    uncertified: Annotated[
        bool,
        typer.Option("--uncertified", help="Do without certificates; that is recorded."),
    ] = False,
) -> None:
    """Make the definitions in the project's files the ones that are served.

    Shows the plan and asks. New and changed views that have no certificate (noskew verify) are
    certified first, and refused if two paths give different values. With --yes it does not ask,
    and refuses changes that break somebody who reads now unless --allow-breaking is given.
    """
    from noskew.cli.render import plan_text
    from noskew.errors import InputError

    with session(ctx).store() as store:
        desired = store.load()
        found = store.plan(desired)
        for line in plan_text.lines(found):
            out.print(line, soft_wrap=True)
        if found.is_empty:
            return
        if yes and found.breaking and not allow_breaking:
            names = ", ".join(c.name for c in found.breaking)
            raise InputError(
                f"{len(found.breaking)} of these changes break somebody who reads now: {names}. "
                f"Nothing was applied; add --allow-breaking if that is meant."
            )
        question = "Apply breaking changes?" if found.breaking else "Apply?"
        if not yes and not confirm(question, flag="--yes"):
            err.print("Nothing was applied.")
            raise typer.Exit(1)
        with err.status("certifying") as status:
            made = store.apply(
                desired,
                base_version=found.base_version,
                message=message,
                uncertified=uncertified,
                progress=lambda name, path: status.update(f"certifying [b]{name}[/b]: {path}"),
            )
    out.print(f"[green]Applied[/green] as version {made.version}.")
    if found.backfills:
        out.print("Next: [b]noskew backfill[/b] (ingest, then materialize).")


def diff(
    ctx: typer.Context,
    old: Annotated[
        int | None, typer.Argument(help="A version; default: the one before the last.")
    ] = None,
    new: Annotated[int | None, typer.Argument(help="A version; default: the last.")] = None,
) -> None:
    """Show what changed from one applied version to another (noskew list versions)."""
    from noskew.cli.render import plan_text
    from noskew.definitions.project import Project
    from noskew.registry.plan import plan as compare
    from noskew.registry.versions import Applied

    with session(ctx).store() as store:
        project = store.config.project
        last = new if new is not None else store.registry.head(project)
        first = old if old is not None else max(0, last - 1)
        found = [
            store.registry.version(project, n) if n else Applied(0, Project())
            for n in (first, last)
        ]
    out.print(f"[dim]version {first} → version {last}[/dim]")
    for line in plan_text.lines(compare(found[0], found[1].project), backfills=False):
        out.print(line, soft_wrap=True)


def list_(
    ctx: typer.Context,
    kind: Annotated[
        str | None,
        typer.Argument(help="services, views, sources, entities, on-demand or versions."),
    ] = None,
) -> None:
    """List what is applied."""
    from noskew.cli.render.listing import TABLES
    from noskew.errors import unknown

    if kind is not None and kind not in TABLES:
        raise unknown("kind", kind, TABLES)
    with session(ctx).store() as store:
        if not store.applied.version:
            err.print("Nothing is applied yet: [b]noskew plan[/b], then [b]noskew apply[/b].")
            return
        for name, make in TABLES.items():
            table = make(store)
            if name == kind or (kind is None and name != "versions" and table.row_count):
                out.print(table)


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A service, view, source, entity or on-demand.")],
) -> None:
    """Show everything about a definition: features, windows, lineage, code that uses it."""
    from noskew.cli.render import details

    with session(ctx).store() as store:
        for kind, item in details.find_definitions(store.applied.project, name):
            for part in details.describe(store, kind, item):
                out.print(part)
