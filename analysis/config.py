"""What people write: maps, events and the schedule in YAML, parameters in notebooks; what is wrong is refused here."""

from __future__ import annotations

import ast
import datetime
import difflib
import json
import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, create_model, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from analysis.errors import DataError, DesignError, refuse
from analysis.provenance import ROOT
from analysis.untrusted import YAML_BYTES, YAML_DEPTH, admit, inside

ON_RECORD = "amazon_2021"  # the event whose public figures data/facts holds
EVENTS, NOTEBOOKS = ROOT / "data" / "events", ROOT / "notebooks"
ISO_MONTH, DOLLARS = "%Y-%m", "USD"
LONGEST_TEXT = 500

Value = int | float | str | bool
Model = TypeVar("Model", bound=BaseModel)


def load(path: Path, model: type[Model]) -> Model:
    """Read a YAML file as a model; a `DataError` names file, line or key, what was found and what to do.

    Every scalar is text as it was written: what the label 1688 or no is, or a date 2021-02-30, the model says.
    """
    admit(path, YAML_BYTES)
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_shape(path, text)
        content = YAML(typ="base", pure=True).load(text)
    except DataError:
        raise
    except (OSError, ValueError, TypeError, YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", getattr(error, "strerror", error))
        twice = 'keep one of the two lines: of a question that is answered, remove that with the value "?"'
        do = twice if isinstance(error, DuplicateKeyError) else "mend or name it"
        raise DataError(f"{path}{line}: a file of YAML in UTF-8 was asked for; {problem}; {do}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataError(f"{path}: keys and values were asked for; found {content!r:.60}; write `key: value` lines")
    if left := [*_unanswered(content)]:
        found = f"{len(left)} {'question is' if len(left) == 1 else 'questions are'} open: {', '.join(left)}"
        raise DataError(f'{path}: an answer to each question was asked for; {found}; write it over each "?"')
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part not in ("", "[key]"))
        asked, found = first["msg"].removeprefix("Value error, "), f"{first['input']!r:.60}"
        if "notices" in first["loc"]:  # it may be a password that somebody wrote where its variable's name belongs
            found = "something else, which is not shown"
        if first["type"] == "extra_forbidden":
            beside = f" beside {', '.join(model.model_fields)}" if len(first["loc"]) == 1 else ""
            asked = f"there is no such key{beside}"
        raise DataError(f"{path}, key {key or 'of the file'}: {asked}; found {found}; correct it") from None


def _refuse_shape(path: Path, text: str) -> None:
    """Refuse what grows or nests without end, and signs that no text has, before a value is made of it."""
    depth = 0
    for event in YAML(typ="base", pure=True).parse(text):
        at, do = f"{path}, line {event.start_mark.line + 1}", "write it out, a `key: value` line for each"
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent):
            refuse(at, "plain values", f"the alias *{event.anchor}", do)
        if depth > YAML_DEPTH:
            refuse(at, f"at most {YAML_DEPTH} levels of lists and keys", "more", do)
        if isinstance(event, ScalarEvent) and (odd := [sign for sign in event.value if _is_odd(sign)]):
            refuse(at, "text", f"the sign {ascii(odd[0])[1:-1]} in it", "write it without that sign")


def _is_odd(sign: str) -> bool:
    return sign not in "\n\t" and unicodedata.category(sign) in ("Cc", "Cs")  # no text may hold a surrogate


def _unanswered(content: dict[str, Any], before: str = "") -> Iterator[str]:
    """Yield the keys of which the value is a question mark, as a proposed map asks."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _unanswered(value, f"{before}{key}.")
        elif value == "?":
            yield f"{before}{key}"


def located(name: str, path: str) -> Path:
    """Return the file that a parameter names: from where its kernel runs, or else from the project's folder.

    Neither is a `DataError`. A whole path is returned as it is: who reads the file says what is missing.
    """
    places = [*dict.fromkeys((Path.cwd(), ROOT))]
    found = [place / path for place in places if Path(path).is_absolute() or os.path.isfile(place / path)]
    if not found:
        nowhere = ", nor in ".join(map(str, places))
        raise DataError(f"{name} = {path!r} was asked for; there is no such file in {nowhere}; correct the path")
    return found[0]


def as_day(text: str, pattern: str) -> str | None:
    """Return a date in a format of strptime as YYYY-MM-DD, of a month its first day; None for anything else."""
    if pattern == ISO_MONTH:  # strptime would take 2021-5 too
        return f"{text}-01" if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) else None
    try:
        day = datetime.datetime.strptime(text, pattern)
    except ValueError:
        return None
    return f"{day:%Y-%m-%d}" if 1990 <= day.year <= 2099 else None  # it reads the Excel serial 44228 as August 4422


def is_date(text: str) -> bool:
    """Whether text is a date, YYYY-MM-DD."""
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is(asked: str, holds: Callable[[Any], object]) -> AfterValidator:
    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"{asked} was asked for")
        return value

    return AfterValidator(check)


def _is_like(asked: str, pattern: str) -> AfterValidator:
    return _is(asked, re.compile(pattern).fullmatch)


def _is_format(text: str) -> bool:
    return as_day(f"{datetime.date(2021, 5, 1):{text}}", text) == "2021-05-01"


def _by_currency(rates: Any) -> dict[str, Any]:
    """Return rates by currency, of which the map's own is "", and of each by year or month, or the one under ""."""
    rates = rates if isinstance(rates, dict) else {"": rates}
    if all(re.match(r"[0-9]|$", key) for key in rates):
        return {"": rates}
    return {currency: rate if isinstance(rate, dict) else {"": rate} for currency, rate in rates.items()}


OneOrMore = BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
Text = Annotated[
    str,
    _is("text", str.strip),
    _is(f"text of at most {LONGEST_TEXT} characters", lambda text: len(text) <= LONGEST_TEXT),
]
Texts = tuple[Text, ...]
Labels = Annotated[dict[Text, Text], Field(min_length=1)]
ClaimAndReading = Annotated[tuple[str, str], BeforeValidator(lambda text: str(text).partition(" ")[::2])]
Month = Annotated[str, _is("a month YYYY-MM", lambda text: as_day(text, ISO_MONTH))]
Format = Annotated[str, _is("a format with year and month, as in strptime, such as %Y-%m or %d/%m/%Y,", _is_format)]
Formats = Annotated[tuple[Format, ...], Field(min_length=1), OneOrMore]
Period = Annotated[str, _is_like("a year or a month YYYY-MM", r"((19|20)[0-9]{2}(-(0[1-9]|1[0-2]))?)?")]
Rate = Annotated[float, _is("US dollars for one unit, more than 0,", lambda rate: 0 < rate < math.inf)]
Rates = Annotated[
    dict[str, Annotated[dict[Period, Rate], Field(min_length=1)]], Field(min_length=1), BeforeValidator(_by_currency)
]
Population = Literal["census", "sample", "not representative"]


def _ours(theirs: dict[str, str]) -> dict[str, str]:
    known = [field["name"] for field in json.loads((ROOT / "data" / "panel.schema.json").read_bytes())["fields"]]
    found = {{"brand": "brand_group"}.get(name, name): column for name, column in theirs.items()}
    if len(found) < len(theirs) or set(found) - set(known):
        raise ValueError(f"our columns on the left, each once, were asked for: {', '.join(known)} (or brand)")
    return found


class _Written(BaseModel):
    model_config = {"extra": "forbid", "frozen": True}


class Wide(_Written):
    """One column of sales per month: `prefix`, then the month in `format` (as in strptime)."""

    prefix: str
    format: Format = ISO_MONTH


class Map(_Written):
    """What a researcher's own file calls the columns, platforms, origins and months of a panel."""

    columns: Annotated[Labels, AfterValidator(_ours)] = {}  # our name: theirs; none for one that has our name
    platforms: Labels = {}  # their label: our code; none if theirs are our codes; rows of one code are added up
    origins: Labels = {}
    wide: Wide | None = None  # none if months are rows
    rows: Literal["month", "day", "week"] = "month"  # what the date of a row stands for; of a week, its first day
    month_format: Formats = (ISO_MONTH,)  # of dates in cells
    closed_format: Formats | None = None  # as months, unless it is said
    currency: Text = DOLLARS  # of their sales
    rates: Rates = {}  # US dollars for one unit of it, or of each currency of a column
    thousands: Literal["", ",", ".", " ", "'"] = ""  # what stands between digits of a number in text
    decimal: Literal[".", ","] = "."
    missing: Texts = ()  # words among numbers that mean not known
    home: Text | None = None  # our code of the platform that closed accounts
    # what a firm-platform-month without a row is
    absent: Literal["missing", "zero", "zero_after_closure"] | None = None
    closures: Literal["firm", "account"] = "firm"  # whose month closed_on is
    population: Population | None = None  # what the firms are; not representative, unless it is said
    encoding: Literal["utf-8", "gbk"] = "utf-8"  # of a text file
    separator: Literal[",", ";", "\t", "|"] | None = None  # of its columns; by the name of the file
    sheet: Text | None = None  # of an Excel file; the only one

    @model_validator(mode="after")
    def _fits(self) -> Map:
        if (self.currency != DOLLARS) != ("" in self.rates):
            raise ValueError(
                "currency and rates go together: US dollars for one unit, one number, by year or by month; where the "
                "rows have a column currency, rates alone, such as {CNY: 0.15, EUR: {2020: 1.14, 2021: 1.18}}"
            )
        if self.thousands == self.decimal:
            raise ValueError("two signs, one for thousands and one for decimals, were asked for")
        if self.wide and self.rows != "month":
            raise ValueError("columns of months in a wide file, not of days or weeks, were asked for")
        day = datetime.date(2021, 5, 17)
        dated = all(as_day(f"{day:{one}}", one) == str(day) for one in self.month_format)
        if self.rows != "month" and "month_format" in self.model_fields_set and not dated:
            raise ValueError("a month_format with the day, since rows are of days or weeks, was asked for")
        return self

    @property
    def money_by_row(self) -> bool:
        """Whether a column says of each row which currency its sales are in."""
        return bool(self.rates) and "" not in self.rates

    def rate(self, month: str, currency: str = "") -> float:
        """Return the US dollars for one unit of a currency in a month "YYYY-MM"; NaN where the map has none."""
        rates = self.rates.get(currency, {})
        if not rates and (currency or DOLLARS) == DOLLARS:
            return 1.0
        return next((rates[key] for key in (month, month[:4], "") if key in rates), math.nan)


class Claim(_Written):
    """What was said of an event, in the event's own file."""

    claimant: Text
    readings: Labels  # question of the reports: what was said that it tests


class Threat(_Written):
    """What else happened in the months of an event, in print, in the event's own file."""

    when: Text
    what: Text
    hits: Text
    threatens: Text  # what is estimated, in words


_BY_ID = BeforeValidator(lambda given: dict.fromkeys(map(str, given)) if isinstance(given, list | tuple) else given)


class Event(_Written):
    """One crackdown, as reports know it. Of its claims and threats it holds each, or names rows of the ledgers."""

    title: Text  # in print, as a noun phrase
    home: Text  # code of the platform that closed accounts, the first of `platforms`
    platforms: Labels  # codes in panels and names in print
    destinations: Annotated[Texts, Field(min_length=1, max_length=2)]  # to which closed firms are said to have gone
    origin: Text  # code of the firms whose growth is asked about
    origin_name: Text  # the adjective in print
    waves: Annotated[tuple[Month, ...], Field(min_length=1)]  # months of the closures
    readings: dict[Text, ClaimAndReading] = {}  # rows of readings.csv by question that the reports can answer
    claims: Annotated[dict[Text, Claim | None], _BY_ID] = {}  # by id; None is a row of claims.csv
    threats: Annotated[dict[Text, Threat | None], _BY_ID] = {}  # by id; None is a row of threats.csv
    opened: Texts = ()  # platforms that opened to the origin alone in these months

    @model_validator(mode="after")
    def _fits(self) -> Event:
        named = {self.home, *self.destinations, *self.opened}
        for asked, holds in (
            ("home, destinations and opened among the platforms", named <= {*self.platforms}),
            ("the home platform first among them", next(iter(self.platforms)) == self.home),
            ("destinations other than home", self.home not in self.destinations),
            ("waves in order, each once,", list(self.waves) == sorted(set(self.waves))),
        ):
            if not holds:
                raise ValueError(f"{asked} were asked for")
        return self

    @property
    def own(self) -> dict[str, Claim]:
        """The claims that the event holds, by id."""
        return {name: claim for name, claim in self.claims.items() if claim}

    @property
    def asked(self) -> dict[str, tuple[str, str]]:
        """Claim and reading by question, of the claims that the event names or holds; several of one are V1, V2."""
        named = {question: reading for question, reading in self.readings.items() if reading[0] in self.claims}
        return named | {
            question: (name, f"V{number}" if len(claim.readings) > 1 else "")
            for name, claim in self.own.items()
            for number, question in enumerate(claim.readings, start=1)
        }

    @property
    def on_record(self) -> bool:
        """Whether the public figures are of this event; its waves, claims and threats may be others."""
        same = {"title", "home", "platforms", "destinations", "origin", "origin_name", "readings"}
        return self.model_dump(include=same) == read_event(ON_RECORD).model_dump(include=same)


def read_event(name: str, *, on_record: bool = False) -> Event:
    """Read an event of ``data/events``, or any ``.yml`` file; with `on_record` only if the public figures are of it."""
    from analysis import data

    path = located("event", name) if name.endswith(".yml") else inside(EVENTS, f"{name}.yml")
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in EVENTS.glob("*.yml")))
        raise DesignError(f"the event {name!r} was asked for; there are {there}; name one of these")
    event, ledger, known = load(path, Event), data.load("readings"), {*data.load("claims")["claim_id"]}
    readings = {*zip(ledger["claim_id"], ledger["reading"].fillna(""), strict=True)}
    threats = {*data.load("threats")["threat_id"]}
    questions = [question for claim in event.own.values() for question in claim.readings]
    answered = load(EVENTS / f"{ON_RECORD}.yml", Event).readings
    for key, asked, wrong in (
        ("claims", "rows of claims.csv", {*event.claims} - {*event.own} - known),
        ("claims", "ids other than those of claims.csv", {*event.own} & known),
        ("threats", "rows of threats.csv", {name for name, threat in event.threats.items() if not threat} - threats),
        ("readings", "rows of readings.csv", {" ".join(pair) for pair in {*event.readings.values()} - readings}),
        ("readings", f"questions among {', '.join(answered)}", {*event.readings, *questions} - {*answered}),
        ("readings", "different questions", {one for one in questions if questions.count(one) > 1}),
    ):
        if wrong:
            found = ", ".join(sorted(wrong))
            raise DataError(f"{path}, key {key}: {asked} were asked for; found {found}; mend the file")
    if on_record and not event.on_record:
        raise DesignError(
            f"public figures of {event.title!r} were asked for; those of data/facts are of the event {ON_RECORD}; "
            "bring a panel, or choose that event"
        )
    return event


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def as_cron(every: str) -> str:
    """Return a cadence of the schedule as a line of cron has it; what is none is a `ValueError`.

    >>> as_cron("weekly on monday"), as_cron("monthly on last"), as_cron("30 6 * * 1-5")
    ('0 0 * * MON', '0 0 L * *', '30 6 * * 1-5')
    """
    match every.lower().split():
        case ["daily"]:
            return "0 0 * * *"
        case ["weekly", "on", day] if day in WEEKDAYS:
            return f"0 0 * * {day[:3].upper()}"
        case ["monthly", "on", "last"]:
            return "0 0 L * *"
        case ["monthly", "on", day] if re.fullmatch("[1-9]|1[0-9]|2[0-8]", day):  # what each month has
            return f"0 0 {day} * *"
        case [_, _, _, _, _]:
            with suppress(CronSimError, StopIteration):
                next(CronSim(every, datetime.datetime(2021, 1, 1)))
                return every
    raise ValueError(
        "daily, weekly on monday, monthly on 1 (to 28, or last) or the five fields of cron, such as 30 6 * * 1-5, was "
        "asked for"
    )


Values = Annotated[tuple[Text, ...], Field(min_length=1), OneOrMore]
Variable = Annotated[str, _is_like("the name of a variable of the environment, such as MAIL_HOST,", "[A-Z][A-Z0-9_]*")]
Address = Annotated[str, _is_like("an address such as reports@example.org", r"[^\s@<>,;]+@[^\s@<>,;]+")]


class Report(_Written):
    """One report: its name, its notebook, and the parameters that differ from the notebook's own, as text.

    A parameter that is a list makes a report of each of its values. `waits_for` are files without which, or as long as
    they are what the standing report was made of, it is not due; `fresh_days` is the age from which data are stale.
    """

    name: Annotated[str, _is_like("a name such as 05_growth or sim__05_growth", r"(sim__)?(?!\w*__)\d\d_\w+")]
    notebook: Annotated[str, _is_like("a notebook such as 05_growth.ipynb", r"\w+\.ipynb")]
    parameters: dict[Text, Values] = {}
    every: Annotated[Text, AfterValidator(lambda every: as_cron(every) and every)] = "daily"
    waits_for: Annotated[tuple[Text, ...], OneOrMore] = ()
    fresh_days: Annotated[int, Field(ge=1, le=20_000)] | None = None


class Mail(_Written):
    """An e-mail with the brief. Host, user and password are the names of environment variables that hold them."""

    model_config = {"extra": "forbid", "frozen": True, "populate_by_name": True}

    to: Annotated[tuple[Address, ...], Field(min_length=1), OneOrMore]
    sender: Annotated[Address, Field(alias="from")]
    host: Variable  # of HOST or HOST:PORT
    user: Variable | None = None
    password: Variable | None = None
    starttls: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Mail:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password together, or neither, were asked for")
        if self.user and not self.starttls:
            raise ValueError("starttls, since a password in plain text can be read on its way, was asked for")
        return self


class Notice(_Written):
    """Who is told of a run that failed, of a word that changed, of stale data: a command, an e-mail or a webhook."""

    command: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None  # program and arguments, without a shell
    email: Mail | None = None
    webhook: Variable | None = None  # of an address https://...
    form: Literal["json", "slack"] = "json"  # of what the webhook is sent
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0  # seconds

    @model_validator(mode="after")
    def _fits(self) -> Notice:
        if len({"command", "email", "webhook"} & self.model_fields_set) != 1:
            raise ValueError("one of command, email and webhook was asked for")
        if self.form != "json" and self.webhook is None:
            raise ValueError("a webhook, to which form belongs, was asked for")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables that it needs."""
        mail = (self.email.host, self.email.user, self.email.password) if self.email else ()
        return tuple(name for name in (self.webhook, *mail) if name)


class Schedule(_Written):
    """What ``reports/schedule.yml`` holds."""

    reports: Annotated[list[Report], Field(min_length=1)]
    publish: Text = "reports"  # folder of the releases; from the project's folder if it is no whole path
    keep: Annotated[int, Field(ge=1)] | None = None  # releases that `prune` leaves; all of them
    notices: tuple[Notice, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Schedule:
        names = [report.name for report in self.reports]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"each name once was asked for, and {len(twice)} reports are called {twice[0]}")
        return self


def parameters(notebook: Path) -> type[BaseModel]:
    """Return the parameters of a notebook, from its cell tagged ``parameters``, as the fields of a strict model.

    A line is an annotated literal with meaning and unit in its comment, the field's `description`, and a rule, its
    `title`: ``allowed LOW to HIGH``, ``allowed a | b`` or ``allowed date``. It is read by `ast`: papermill's own reader
    passes over a line with two equal signs, and takes more than a second to import, in each kernel.
    """
    asked = f"Parameters of {notebook.name}"
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        found = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DesignError(f"{asked}: {notebook} is no notebook ({error!r}); check its name, or save it.") from None
    if len(found) != 1:
        raise DesignError(f"{asked}: {len(found)} cells are tagged `parameters`; tag exactly one code cell with it.")
    fields: dict[str, Any] = {}
    for line in filter(str.strip, found[0].splitlines()):
        try:
            fields |= _field(line, fields)
        except (SyntaxError, ValueError, OverflowError) as error:
            example = "`delta_pp: float = 2.0  # percentage points; allowed 0 to 20`"
            raise DesignError(f"{asked}: `{line}` is no parameter ({error}); write one a line, as {example}.") from None
    config: Any = {"extra": "forbid", "strict": True, "allow_inf_nan": False, "validate_default": True}
    model: type[BaseModel] = create_model(notebook.stem, __config__=config, **fields)
    _admitted(model, model.model_validate, {})
    return model


def _field(line: str, known: Iterable[str]) -> dict[str, Any]:
    """Read a line of the cell as a field of `create_model`; none if it is a comment."""
    kinds: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
    match ast.parse(line).body:
        case []:
            return {}
        case [ast.AnnAssign(target=ast.Name(name), annotation=ast.Name(word), value=ast.expr() as value)] if (
            word in kinds and name not in known and name[0] != "_"
        ):
            kind, default = kinds[word], ast.literal_eval(value)
        case _:
            raise ValueError("a new name, its type int, float, str or bool, and a literal were asked for")
    comment = line.encode()[value.end_col_offset :].decode().partition("#")[2].strip()
    help_, rule = said.groups() if (said := re.fullmatch(r"(.*[\s;,])?allowed\s+(.+)", comment)) else (comment, "")
    words, title = re.split(r"\s*\|\s*", rule), f"{word}, allowed {rule}" if rule else word
    if kind is str and rule == "date":
        kind, title = Annotated[str, _is("a date", is_date)], f"{word}, allowed a date YYYY-MM-DD"
    elif kind in (int, float) and (ends := re.fullmatch(r"(\S+) to (\S+)", rule)):
        kind = Annotated[kind, Field(ge=kind(ends[1]), le=kind(ends[2]))]
    elif rule and (kind is bool or re.search(r"\s", "".join(words))):
        raise ValueError(f"`allowed {rule}` is no rule for {word}")
    elif rule:
        kind = Annotated[kind, _is("one of these", [kind(one) for one in words].__contains__)]
    default = float(default) if word == "float" and type(default) is int else default
    return {name: (kind, Field(default, title=title, description=(help_ or "").rstrip(" ;,")))}


def settled(model: type[BaseModel], given: Mapping[str, str]) -> dict[str, Value]:
    """Return all parameters of a notebook, with text from a schedule or a command line in the place of defaults."""
    return _admitted(model, model.model_validate_strings, given)


def check(notebook: str, namespace: Mapping[str, object]) -> dict[str, Value]:
    """Return the parameters in force in a running notebook, checked, from its ``globals()``; for its setup cell."""
    model = parameters(NOTEBOOKS / notebook)
    return _admitted(model, model.model_validate, {name: namespace.get(name) for name in model.model_fields})


def _admitted(model: type[BaseModel], read: Callable[..., BaseModel], given: Mapping[str, Any]) -> dict[str, Value]:
    refuse_unknown(given, model.model_fields)
    try:
        return read(given).model_dump()
    except ValidationError as error:
        name, found = str(error.errors()[0]["loc"][0]), error.errors()[0]["input"]
        wanted = model.model_fields[name].title
        raise DesignError(f"Parameter {name}: found {found!r:.60}; give a value that is {wanted}.") from None


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `DesignError` for the first given name of a parameter that is not a known one."""
    names = sorted(known)
    for name in given:
        if name not in names:
            near = [*difflib.get_close_matches(name, names, n=1), "one of these"][0]
            known = ", ".join(names)
            raise DesignError(f"Parameter {name}: there is no such parameter; known are {known}; did you mean {near}?")
