"""plan, apply, diff: from what is defined to what is applied."""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.cli.console import confirm, err, out, session
from noskew.cli.render import plan_text
from noskew.definitions.project import Project
from noskew.errors import InputError
from noskew.registry.plan import plan as compare
from noskew.registry.versions import Applied

_CHANGES_PENDING = 3


def plan(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with code 3 if an apply would change anything.")
    ] = False,
) -> None:
    """Show what an apply would change, break and rebuild."""
    with session(ctx).store() as store:
        changes = store.plan()
    for line in plan_text.lines(changes):
        out.print(line, soft_wrap=True)
    if check and not changes.is_empty:
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
    with session(ctx).store() as store:
        desired = store.load()
        changes = store.plan(desired)
        for line in plan_text.lines(changes):
            out.print(line, soft_wrap=True)
        if changes.is_empty:
            return
        if yes and changes.breaking and not allow_breaking:
            names = ", ".join(c.name for c in changes.breaking)
            raise InputError(
                f"{len(changes.breaking)} of these changes break somebody who reads now: {names}. "
                f"Nothing was applied; add --allow-breaking if that is meant."
            )
        question = "Apply breaking changes?" if changes.breaking else "Apply?"
        if not yes and not confirm(question, flag="--yes"):
            err.print("Nothing was applied.")
            raise typer.Exit(1)
        with err.status("certifying") as status:
            applied = store.apply(
                desired,
                base_version=changes.base_version,
                message=message,
                uncertified=uncertified,
                progress=lambda name, path: status.update(f"certifying [b]{name}[/b]: {path}"),
            )
    out.print(f"[green]Applied[/green] as version {applied.version}.")
    if changes.backfills:
        out.print("Next: [b]noskew backfill[/b] (ingest, then materialize).")


def diff(
    ctx: typer.Context,
    old: Annotated[
        int | None, typer.Argument(help="A version; default: the one before the last.")
    ] = None,
    new: Annotated[int | None, typer.Argument(help="A version; default: the last.")] = None,
) -> None:
    """Show what changed from one applied version to another (noskew list versions)."""
    with session(ctx).store() as store:
        project = store.config.project
        last = new if new is not None else store.registry.head(project)
        first = old if old is not None else max(0, last - 1)
        versions = [
            store.registry.version(project, n) if n else Applied(0, Project())
            for n in (first, last)
        ]
    out.print(f"[dim]version {first} → version {last}[/dim]")
    for line in plan_text.lines(compare(versions[0], versions[1].project), backfills=False):
        out.print(line, soft_wrap=True)
