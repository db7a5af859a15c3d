"""Components: plain classes whose typed keyword constructor is their configuration."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from wopt.errors import ConfigError, WoptError
from wopt.host import host
from wopt.origin import returning, strict
from wopt.registry import KINDS, close_matches, resolve

C = TypeVar("C", bound="Component")


class Options(BaseModel):
    """Base of the models derived from constructors; unknown keys are rejected with a hint."""

    model_config = ConfigDict(
        extra="forbid",
        arbitrary_types_allowed=True,
        validate_default=True,
        ser_json_inf_nan="constants",  # TOML has inf: a support without an end
    )
    component: ClassVar[type[Component] | None] = None
    """The component's class. This model's class is generated, so it cannot be pickled by name."""

    def __reduce__(self) -> Any:
        if self.component is None:
            return super().__reduce__()
        values = {k: getattr(self, k) for k in type(self).model_fields}
        return _options_of, (self.component, values, self.model_fields_set)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        data = cls._by_new_names(data)
        known = list(cls.model_fields)
        unknown = [key for key in data if key not in known] if isinstance(data, dict) else []
        if unknown:
            hint = f"known: {', '.join(known) or 'none'}"
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    InitErrorDetails(
                        type=custom_error(f"unknown option; {hint}{close_matches(key, known)}"),
                        loc=(key,),
                        input=data[key],
                    )
                    for key in unknown
                ],
            )
        return data

    @classmethod
    def _by_new_names(cls, data: Any) -> Any:
        """Return options, those that go by an old name by the new one."""
        old = cls.component.renamed if cls.component is not None else {}
        if not isinstance(data, dict) or not old.keys() & data.keys():
            return data
        made = {key: value for key, value in data.items() if key not in old}
        for key, (new, values) in old.items():
            if key in data and not new:
                message = f"{cls.component.__name__}: {key} is not an option any more"  # type: ignore[union-attr]
                warnings.warn(f"{message}, and has no effect", FutureWarning, stacklevel=2)
            elif key in data:
                made[new] = values.get(data[key], data[key]) if values else data[key]
        return made


class Component:
    """Base class of everything that plugins provide.

    A subclass writes an ordinary constructor with annotated parameters. One pydantic model is
    derived from it, for Python calls, configuration files and the JSON Schema. Parameters listed in
    :attr:`supplied` are supplied by wopt and do not belong to the configuration.

    Example:
        >>> from typing import Annotated
        >>> from pydantic import Field
        >>> class Cooling(Component):
        ...     def __init__(self, rate: Annotated[float, Field(gt=0, description="rate")] = 1.0):
        ...         self.rate = rate
        >>> Cooling(rate="0.5").rate
        0.5
        >>> Cooling(rate=-1)
        Traceback (most recent call last):
        ...
        wopt.errors.ConfigError: Cooling: rate: Input should be greater than 0 (got -1)
    """

    kind: ClassVar[str] = ""
    supplied: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[dict[str, Any]] = {}
    """Options with which checks make the component, if it has required ones."""
    renamed: ClassVar[dict[str, tuple[str, dict[Any, Any]]]] = {}
    """Options that had other names: by the old name the new one, ``""`` for an option that has no
    effect any more, and new values by old ones."""
    returns: ClassVar[dict[str, Callable[..., str | None]]] = {}
    """Checks of the results of methods, made at every call of classes that are defined under
    ``WOPT_STRICT=1``, see :mod:`wopt.interfaces.returns`."""
    cites: ClassVar[tuple[str, ...] | None] = None
    """BibTeX keys of its sources, in its package's ``citations.toml`` or wopt's, see
    :mod:`wopt.citations`; ``()`` if it needs none, ``None`` if not declared."""
    _options: BaseModel

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _validated(cls.__init__)  # type: ignore[method-assign]
        for name, wrong in cls.returns.items() if strict() else ():
            if name in cls.__dict__:
                setattr(cls, name, returning(cls.__dict__[name], wrong))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{type(self).__name__}({shown[:200] + '...' if len(shown) > 200 else shown})"

    @classmethod
    def _read(cls, value: Any) -> Any:  # in a short or an older form, for that in today's form
        return value

    @property
    def options(self) -> dict[str, Any]:
        """The validated options this component was made with."""
        options = self.__dict__.get("_options")
        if options is None:
            return {}
        return {name: getattr(options, name) for name in type(options).model_fields}

    def with_options(self, **options: Any) -> Self:
        """Return a component of the same class with other options, validated again."""
        return type(self)(**{**self.options, **options})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        resolve, dump = (_resolve, config_of) if cls.kind else (_from_table, _table_of)
        return core_schema.no_info_plain_validator_function(
            functools.partial(resolve, cls),
            serialization=core_schema.plain_serializer_function_ser_schema(dump),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        # `wopt schema` replaces this marker by a reference to all components of the kind.
        return {"x-wopt-kind": cls.kind} if cls.kind else options_model(cls).model_json_schema()


@typing.dataclass_transform()
def fields(cls: type[C]) -> type[C]:
    """Make the annotated attributes of a component its options, as a dataclass does.

    It generates the constructor of components that only keep their options.

    Example:
        >>> @fields
        ... class Cooling(Component):
        ...     rate: float = 1.0
        >>> Cooling(rate="0.5")
        Cooling(rate=0.5)
    """
    made = dataclasses.dataclass(eq=False, repr=False)(cls)
    made.__init__ = _validated(made.__init__)  # type: ignore[method-assign]
    return made


class Spec:
    """A chosen component that waits for parameters that wopt supplies, such as ``dim``."""

    def __init__(self, cls: type[Component], options: BaseModel) -> None:
        self.cls = cls
        self.options = options

    def __repr__(self) -> str:
        given = sorted(self.options.model_fields_set)
        shown = ", ".join(f"{name}={getattr(self.options, name)!r}" for name in given)
        return f"{self.cls.__name__}({shown})"

    def build(self, **supplied: Any) -> Any:
        """Make the component."""
        chosen = {k: getattr(self.options, k) for k in type(self.options).model_fields}
        return self.cls(**supplied, **chosen)


class _Reference(dict[str, Any]):
    """A hashable table for defaults of fields."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def named(name: str, /, **options: Any) -> Any:
    """Return a reference to a component by name, for use as a parameter's default."""
    return _Reference(name=name, **options)


def custom_error(message: str) -> PydanticCustomError:
    """Return a pydantic error that shows only the message."""
    return PydanticCustomError("wopt", "{message}", {"message": message})


def options_model(cls: type[Component]) -> type[Options]:
    """Return the pydantic model derived from a component's constructor."""
    model = cls.__dict__.get("_options_model")
    if model is None:
        model = _derive(cls)
        cls._options_model = model  # type: ignore[attr-defined]
    return typing.cast("type[Options]", model)


def _derive(cls: type[Component]) -> type[Options]:
    init: Any = inspect.unwrap(cls.__init__)
    fields: dict[str, Any] = {}
    if init is not object.__init__:
        hints = typing.get_type_hints(init, include_extras=True)
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            if name in cls.supplied or parameter.kind in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                continue
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (hints.get(name, Any), default)
    made = create_model(f"{cls.__name__}Options", __base__=Options, **fields)
    made.component = cls
    return made


def _options_of(cls: type[Component], values: dict[str, Any], given: set[str]) -> Options:
    """Return options that were validated when they were pickled."""
    return options_model(cls).model_construct(_fields_set=given, **values)


def _validated(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor so that it sees validated options only."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checked(self: Component, *args: Any, **kwargs: Any) -> None:
        if inspect.unwrap(type(self).__init__) is not init:  # called by a subclass's constructor
            init(self, *args, **kwargs)
            return
        cls = type(self)
        try:
            given = dict(signature.bind_partial(self, *args).arguments)
        except TypeError as error:
            raise ConfigError(f"{cls.__name__}: {error}") from None
        given.pop(next(iter(signature.parameters)))
        twice = sorted(given.keys() & kwargs.keys())
        if twice:
            raise ConfigError(f"{cls.__name__}: {', '.join(twice)}: given twice")
        given |= kwargs
        supplied = {k: given.pop(k) for k in cls.supplied if k in given}
        try:
            options = options_model(cls).model_validate(given)
        except ValidationError as error:
            raise ConfigError(describe(error, prefix=(cls.__name__,))) from None
        self.__dict__["_options"] = options
        init(self, **supplied, **{k: getattr(options, k) for k in type(options).model_fields})

    return checked


def build(kind: str, value: Any) -> Any:
    """Make a component of a kind from an instance, a name, a table or a shorthand.

    Args:
        kind: One of :data:`wopt.registry.KINDS`.
        value: An instance; a name; a mapping with ``name`` and options; for step sizes also a
            number (constant) or a list of numbers (a sequence).

    Returns:
        The component, or a :class:`Spec` if wopt supplies parameters later (blocks).

    Raises:
        ConfigError: The name is unknown or options are invalid; the message has their path.

    Example:
        >>> build("step_size", 0.5)(3)
        0.5
    """
    try:
        return _resolve(resolve(KINDS[kind].interface), value)
    except ValidationError as error:
        raise ConfigError(describe(error, prefix=(kind,))) from None
    except (PydanticCustomError, ValueError) as error:
        raise ConfigError(f"{kind}: {error}") from None


def _resolve(interface: type[Component], value: Any) -> Any:
    kind = KINDS[interface.kind]
    if isinstance(value := interface._read(value), (interface, Spec)):
        return value
    if isinstance(value, type) and issubclass(value, interface):
        cls, options = value, dict[str, Any]()
    else:
        name, options = _table(kind.name, value)
        try:
            cls = host().registry.load(kind.name, name)
        except WoptError as error:
            raise custom_error(str(error)) from None
    if interface.supplied:
        return Spec(cls, options_model(cls).model_validate(options))
    try:
        return cls(**_validated_options(cls, options))
    except WoptError as error:
        raise custom_error(str(error)) from None


def _from_table(cls: type[Component], value: Any) -> Any:
    """Make a component without a kind, and so without a name, from a table of options."""
    if isinstance(value, cls):
        return value
    if not isinstance(value, dict):
        raise custom_error(f"expected a table of options of {cls.__name__}")
    return cls(**_validated_options(cls, value))


def _validated_options(cls: type[Component], table: dict[str, Any]) -> dict[str, Any]:
    model = options_model(cls).model_validate(table)
    return {k: getattr(model, k) for k in type(model).model_fields}


def _table_of(component: Component) -> dict[str, Any]:
    return component._options.model_dump(mode="json", exclude_none=True)


def _table(kind: str, value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        return value, {}
    number, sequence = KINDS[kind].number, KINDS[kind].sequence
    if number and isinstance(value, (int, float)) and not isinstance(value, bool):
        return number[0], {number[1]: value}
    if sequence and isinstance(value, (list, tuple)):
        return sequence[0], {sequence[1]: list(value)}
    if isinstance(value, dict):
        options = dict(value)
        name = options.pop("name", KINDS[kind].default)
        if isinstance(name, str):
            return name, options
        known = ", ".join(host().registry.names(kind))
        raise custom_error(f"the table of {article(kind)} needs a `name`; known: {known}")
    raise custom_error(f"expected {article(kind)}: an instance, a name, or a table with `name`")


def article(kind: str) -> str:
    """Return the kind with its article."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def config_of(component: Any) -> dict[str, Any]:
    """Return the table (``name`` and options) from which :func:`build` makes an equal component.

    Raises:
        PluginError: The component's class is not registered.
    """
    if isinstance(component, Spec):
        cls, options = component.cls, component.options
    else:
        cls, options = type(component), component.__dict__.get("_options")
    table = {"name": host().registry.name_of(cls.kind, cls)}
    return table | (options.model_dump(mode="json", exclude_none=True) if options else {})


def name_of(component: Component) -> str:
    """Return the name by which a component is registered, or that of its class."""
    cls = type(component)
    try:
        return host().registry.name_of(cls.kind, cls)
    except WoptError:  # a class of the user's own
        return cls.__name__


def describe(error: ValidationError, prefix: tuple[str, ...] = ()) -> str:
    """Write a pydantic error in one readable line: ``path: what is wrong (got ...)``."""
    lines = []
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "missing":
            message = "is required"
        elif item["type"] not in ("wopt", "value_error"):
            message += f" (got {item['input']!r})"
        lines.append(": ".join([*prefix, path, message] if path else [*prefix, message]))
    return "\n".join(lines)
