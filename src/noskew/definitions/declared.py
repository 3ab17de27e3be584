"""Declared: values whose class body states their fields once; they are frozen and checked."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from operator import attrgetter
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Self,
    TypeVar,
    dataclass_transform,
    overload,
)

_Given_contra = TypeVar("_Given_contra", contravariant=True)
_Kept_co = TypeVar("_Kept_co", covariant=True)
_REQUIRED: Any = inspect.Parameter.empty


class Converted(Generic[_Given_contra, _Kept_co]):
    """The type of a field that is given as one type and kept as another.

    ``keys: Converted[Mapping[str, Any], Schema]``: callers give a mapping and read a Schema. It is
    for type checkers, which find the first in ``__set__`` and the second in ``__get__``; at run
    time the field holds what is kept, and no descriptor is called.
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type) -> _Kept_co: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...
        def __set__(self, instance: Any, value: _Given_contra) -> None: ...


def option(
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    kw_only: bool = True,
    alias: str | None = None,
    compare: bool = True,
    convert: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """A field of a :class:`Declared` class, where a default alone does not say it.

    Parameters
    ----------
    default, default_factory
        What is given if a caller gives nothing, or what makes it; callers must give it if both are
        absent. What a factory makes is shared: ``convert`` must copy it.
    kw_only
        Whether it is given by name only.
    alias
        Its name for callers, if it is kept under another one.
    compare
        Whether values that differ in it are unequal.
    convert
        ``convert(value, given)`` is what is kept. Fields are converted in the order of the
        signature; those after it hold what was given.
    """
    return field(
        default=default,
        default_factory=default_factory,
        kw_only=kw_only,
        compare=compare,
        metadata={"alias": alias, "convert": convert},
    )


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
class Declared:
    """A frozen value whose class body states its fields.

    A field is an annotation, with a default or an :func:`option`. They are the parameters of the
    constructor: those given by name only come last, and the ones of base classes at the very end.
    The constructor converts what is given and calls :meth:`_check`.
    """

    _form: ClassVar[_Form]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, init=False, eq=False, repr=False, kw_only=True)(cls)
        cls._form = _Form(cls)
        # help() and inspect show the constructor that type checkers derive from the fields.
        cls.__signature__ = cls._form.signature

    def __init__(self, /, *args: Any, **options: Any) -> None:
        values = self.__dict__
        values.update(self._form.values(args, options))
        for name, convert in self._form.converters:
            values[name] = convert(self, values[name])
        self._check()

    def _check(self) -> None:
        """Raise DefinitionError if the fields do not go together."""

    def _fill(self, **values: Any) -> None:
        """Set fields that :meth:`_check` computes, such as those that depend on several."""
        self.__dict__.update(values)


class _Form:
    """What the constructor of a class takes; names are those that callers use."""

    def __init__(self, cls: type) -> None:
        declared = _in_order(cls)
        self._class = cls.__name__
        names = {f.name: f.metadata.get("alias") or f.name for f in declared}
        self.signature = inspect.Signature(
            [_parameter(f, names[f.name]) for f in declared], return_annotation="None"
        )
        parameters = self.signature.parameters.values()
        self._defaults = {p.name: p.default for p in parameters if p.default is not _REQUIRED}
        self._positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self._renamed = [(kept, given) for kept, given in names.items() if kept != given]
        self.converters = [
            (f.name, f.metadata["convert"]) for f in declared if f.metadata.get("convert")
        ]
        self.compared = attrgetter(*(f.name for f in declared if f.compare))

    def values(self, args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        """What is given for each field, by the field's name. Raises TypeError."""
        for kept, given in self._renamed:  # as ``dataclasses.replace`` calls them
            if kept in options:
                options[given] = options.pop(kept)
        positional = dict(zip(self._positional, args, strict=False))
        values = {**self._defaults, **positional, **options}
        if (
            values.keys() != self.signature.parameters.keys()
            or len(positional) != len(args)
            or not positional.keys().isdisjoint(options)
        ):
            self._refuse(args, options)
        for kept, given in self._renamed:
            values[kept] = values.pop(given)
        return values

    def _refuse(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Raise the TypeError that says which argument is missing, unknown or too much."""
        try:
            self.signature.bind(*args, **options)
        except TypeError as error:
            raise TypeError(f"{self._class}() {error}") from None


def _in_order(cls: type) -> list[Field[Any]]:
    """The fields in the order of the signature."""
    inherited = {n for base in cls.__bases__ for n in getattr(base, "__dataclass_fields__", ())}
    declared: tuple[Field[Any], ...] = fields(cls)
    return sorted(declared, key=lambda f: (f.kw_only, f.kw_only and f.name in inherited))


def _parameter(declared: Field[Any], name: str) -> inspect.Parameter:
    kinds = inspect.Parameter
    kind = kinds.KEYWORD_ONLY if declared.kw_only else kinds.POSITIONAL_OR_KEYWORD
    default = declared.default
    if declared.default_factory is not MISSING:
        default = declared.default_factory()
    default = _REQUIRED if default is MISSING else default
    return inspect.Parameter(name, kind, default=default, annotation=_given_type(declared.type))


def _given_type(annotation: Any) -> Any:
    """The type that callers give: the first one of ``Converted[given, kept]``."""
    if not isinstance(annotation, str):
        return annotation
    tree = ast.parse(annotation, mode="eval").body
    match tree:
        case ast.Subscript(ast.Name("Converted"), ast.Tuple([given, _])):
            return ast.unparse(given)
    return annotation
