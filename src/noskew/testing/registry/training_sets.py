"""Saved training sets: by name, and never replaced by accident."""

from __future__ import annotations

import pytest

from noskew.errors import InputError, InvalidNameError, NotFoundError
from noskew.registry.base import Registry
from noskew.registry.training_sets import SavedTrainingSet
from noskew.testing.registry.suite import AT, RegistrySuite


class TrainingSetTests(RegistrySuite):
    """What was saved is there, under its name."""

    def test_training_sets(self, registry: Registry) -> None:
        june = SavedTrainingSet("june", {"known_at": None, "hashes": ["a", "ü"]}, "d1", AT)
        may = SavedTrainingSet("May", {}, "d2", AT)
        assert registry.training_sets("flights") == []
        registry.save_training_set("flights", june)
        registry.save_training_set("flights", may)
        with self.opener(registry)() as other:
            assert other.training_set("flights", "june") == june
            assert other.training_sets("flights") == [may, june], "in the order of code points"

    def test_the_same_again_changes_nothing(self, registry: Registry) -> None:
        june = SavedTrainingSet("june", {"a": 1, "b": 2}, "d1", AT)
        registry.save_training_set("flights", june)
        again = SavedTrainingSet("june", {"b": 2, "a": 1}, "d1", AT + 9)
        registry.save_training_set("flights", again)
        assert registry.training_set("flights", "june") == june

    def test_another_one_of_the_name_has_to_be_asked_for(self, registry: Registry) -> None:
        june = SavedTrainingSet("june", {}, "d1", AT)
        changed = SavedTrainingSet("june", {}, "d3", AT)
        registry.save_training_set("flights", june)
        with pytest.raises(InputError, match="choose another name"):
            registry.save_training_set("flights", changed)
        assert registry.training_set("flights", "june") == june
        registry.save_training_set("flights", changed, replace=True)
        assert registry.training_set("flights", "june") == changed

    def test_a_name_that_is_not_there(self, registry: Registry) -> None:
        with pytest.raises(NotFoundError, match="there are none yet"):
            registry.training_set("flights", "june")
        for name in ("june", "may"):
            registry.save_training_set("flights", SavedTrainingSet(name, {}, "d", AT))
        with pytest.raises(NotFoundError, match="Did you mean 'june'"):
            registry.training_set("flights", "jun")

    def test_what_cannot_be_saved(self, registry: Registry) -> None:
        with pytest.raises(InputError, match="JSON"):
            registry.save_training_set("flights", SavedTrainingSet("x", {"a": object()}, "", AT))
        for name in ("../x", "a b", "", "a" * 129):
            with pytest.raises(InvalidNameError):
                registry.save_training_set("flights", SavedTrainingSet(name, {}, "", AT))
        assert registry.training_sets("flights") == []
