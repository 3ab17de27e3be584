"""Outlines say what the definitions say, without making them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

import noskew as ns
from noskew.definitions import decoded
from noskew.definitions.outline import (
    ServiceOutline,
    ViewOutline,
    services_reading,
    views_of,
)
from noskew.definitions.project import Project
from noskew.registry.versions import Version, decode_project, encode_project
from tests.registry.strategies import projects


def read_back(project: Project) -> Project:
    document, digest = encode_project(project)
    return decode_project(document, Version(1, 0, "", "", digest), "flights").project


def _read(service: ns.FeatureService) -> set[str]:
    return {view.name for view in service.views}


@given(project=projects())
def test_outlines_are_what_definitions_say(project: Project) -> None:
    for side in (project, read_back(project)):
        for service in project.services.values():
            assert ServiceOutline.of(side, service.name) == ServiceOutline(
                service.name,
                service.description,
                service.owner,
                dict(service.tags),
                tuple(service.join_keys),
                tuple(service.request),
                len(service.columns),
            )
        for view in project.views.values():
            assert ViewOutline.of(side, view.name) == ViewOutline(
                view.name,
                view.entity.name,
                view.source.name,
                view.owner,
                len(view.features),
                view.online,
            )
            readers = [s.name for s in project.services.values() if view.name in _read(s)]
            assert sorted(services_reading(side, view.name)) == sorted(readers)
            assert view.name in views_of(side, "source", view.source.name)
            assert view.name in views_of(side, "entity", view.entity.name)


@given(project=projects())
def test_nothing_is_made_for_an_outline(project: Project) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a definition was made")

    applied = read_back(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoded.Decoded, "__getitem__", refuse)
        names = [ServiceOutline.of(applied, n).name for n in applied.services]
        names += [ViewOutline.of(applied, n).name for n in applied.views]
    assert sorted(names) == sorted([*project.services, *project.views])
