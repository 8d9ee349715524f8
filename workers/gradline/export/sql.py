"""The scorecard as SQL: a SELECT over a table with the model's columns that adds the prediction.

Portable: CASE, COALESCE, NULLIF, TRIM, CAST and EXP only (SQLite has EXP where it was built with its mathematical
functions, as it is by default since 3.35). Exponents are held within ±700, past which PostgreSQL reports an overflow
instead of 0 or infinity. A row that the model refuses (a missing value or unseen level without a stand-in) is predicted
as NULL.
Of white space around text only spaces are trimmed, as by TRIM in every dialect; tabs and the like make another level.
"""

import math
from itertools import product
from typing import Any

from gradline.scoring import BOOLEANS, NumberInput, Scorecard, Table, TextInput

TABLE = '"rows"'
"""What to replace by the table's own name."""
MAX_COLUMNS = 1500
"""PostgreSQL's tables have at most 1,600."""
TERMS_EACH = 50


class NotExportable(ValueError):
    """The model has no counterpart in this format."""


def write_sql(card: Scorecard) -> str:
    """One statement; the predictions stand after the columns of the table. Raises NotExportable."""
    if len(card.columns) > MAX_COLUMNS:
        raise NotExportable(
            f"{len(card.columns)} columns are more than a table in SQL may have; {MAX_COLUMNS} are taken"
        )
    predictors = _predictors(card)
    inner = ",\n    ".join(f"{z} AS gradline_z{k}" for k, z in enumerate(predictors))
    outer = ",\n  ".join(_outputs(card, len(predictors)))
    heading = f"-- {card.document['family']} model; replace {TABLE} by the table whose rows are predicted"
    scored = f"SELECT source.*,\n    {inner}\n  FROM {TABLE} AS source"  # noqa: S608  names and values are quoted
    return f"{heading}\nSELECT scored.*,\n  {outer}\nFROM (\n  {scored}\n) AS scored\n"


def _predictors(card: Scorecard) -> list[str]:
    """z of each output."""
    atoms = [_number(i) for i in card.numbers]
    atoms += [f"CASE WHEN {_name(card.numbers[j].column)} IS NULL THEN 1.0 ELSE 0.0 END" for j in card.indicators]
    written = []
    for k, intercept in enumerate(card.intercepts_k.tolist()):
        terms = [_literal(intercept)]
        terms += [f"{_literal(w)} * {a}" for w, a in zip(card.weights_jk[:, k].tolist(), atoms, strict=True) if w != 0]
        terms += [_table_term(card, table, atoms, k) for table in card.tables]
        terms += [_refusal(i) for i in card.texts if i.missing is None or i.unseen is None]
        if card.offset is not None:
            terms.append(_number(card.offset))
        written.append(_sum(terms))
    return written


def _sum(terms: list[str]) -> str:
    """In groups of groups: databases bound the depth of an expression, and a plain sum is as deep as it is long."""
    while len(terms) > TERMS_EACH:
        groups = [terms[start : start + TERMS_EACH] for start in range(0, len(terms), TERMS_EACH)]
        terms = [f"({' + '.join(group)})" for group in groups]
    return "\n      + ".join(terms)


def _table_term(card: Scorecard, table: Table, atoms: list[str], k: int) -> str:
    factors = [atoms[a] for a in table.atoms]
    if not table.inputs:
        return " * ".join([_literal(float(table.coefficients[k])), *factors])
    texts = [card.texts[i] for i in table.inputs]
    cases = []
    for codes in product(*(range(len(text.levels)) for text in texts)):
        if (weight := float(table.coefficients[(*codes, k)])) != 0:
            tests = " AND ".join(_is_level(text, code) for text, code in zip(texts, codes, strict=True))
            cases.append(f"WHEN {tests} THEN {_literal(weight)}")
    chosen = f"CASE {' '.join(cases)} ELSE 0.0 END" if cases else "0.0"
    return " * ".join([chosen, *factors])


def _is_level(text: TextInput, code: int) -> str:
    """Whether a row counts as the level: by its own text, or as what stands in for a missing or unseen one."""
    column = _text(text)
    tests = [f"{column} = {value}" for value in _values(text, text.levels[code : code + 1])]
    if code == text.missing:
        tests.append(f"{column} IS NULL")
    if code == text.unseen:
        tests.append(_is_unseen(text))
    return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"


def _refusal(text: TextInput) -> str:
    """NULL, and with it the whole sum, where a row is refused; else 0."""
    column, refused = _text(text), []
    if text.missing is None:
        refused.append(f"{column} IS NULL")
    if text.unseen is None:
        refused.append(_is_unseen(text))
    return f"CASE WHEN {' OR '.join(refused)} THEN NULL ELSE 0.0 END"


def _outputs(card: Scorecard, n_predictors: int) -> list[str]:
    z = [f"gradline_z{k}" for k in range(n_predictors)]
    classes = card.document["classes"]
    if classes is None:
        value = z[0] if card.document["family"] == "gaussian" else _exp(z[0])
        return [f'{value} AS "prediction"']
    if len(z) == 1:
        threshold = card.document["threshold"]
        probabilities = [f"1.0 / (1.0 + {_exp(z[0])})", f"1.0 / (1.0 + {_exp(f'-{z[0]}')})"]
        least = _literal(math.log(threshold / (1 - threshold)))
        decided = f"WHEN {z[0]} >= {least} THEN {_value(classes[1])} WHEN {z[0]} < {least} THEN {_value(classes[0])}"
    else:
        probabilities = [f"1.0 / ({' + '.join('1.0' if a == b else _exp(f'{a} - {b}') for a in z)})" for b in z]
        decided = " ".join(
            f"WHEN {' AND '.join(f'{a} >= {b}' for b in z if b != a)} THEN {_value(name)}"
            for a, name in zip(z, classes, strict=True)
        )
    names = [_name(f"probability of {name}") for name in classes]
    shown = [f"{p} AS {name}" for p, name in zip(probabilities, names, strict=True)]
    return [f'CASE {decided} END AS "prediction"', *shown]


def _exp(exponent: str) -> str:
    held = f"CASE WHEN {exponent} > 700 THEN 700.0 WHEN {exponent} < -700 THEN -700.0 ELSE {exponent} END"
    return f"EXP({held})"


def _number(column: NumberInput) -> str:
    name = _name(column.column)
    if column.is_boolean:
        missing = "NULL" if column.fill is None else _literal(column.fill)
        return f"CASE WHEN {name} IS NULL THEN {missing} WHEN {name} THEN 1.0 ELSE 0.0 END"
    number = f"CAST({name} AS DOUBLE PRECISION)"
    return number if column.fill is None else f"COALESCE({number}, {_literal(column.fill)})"


def _is_unseen(text: TextInput) -> str:
    seen = _values(text, text.levels)
    return f"{_text(text)} NOT IN ({', '.join(seen)})" if seen else f"{_text(text)} IS NOT NULL"


def _text(column: TextInput) -> str:
    """The column as what its levels are: text, or numbers, which booleans are turned into."""
    name = _name(column.column)
    if not column.is_numeric:
        return f"NULLIF(TRIM({name}), '')"
    if not column.is_boolean:
        return name
    return f"CASE WHEN {name} IS NULL THEN NULL WHEN {name} THEN 1 ELSE 0 END"


def _values(column: TextInput, levels: list[str]) -> list[str]:
    """Levels as the column holds them; what gathers others, or missing values, stands in brackets and is no number."""
    if not column.is_numeric:
        return [_quoted(level) for level in levels]
    if column.is_boolean:
        return [str(int(level == "true")) for level in levels if level in BOOLEANS]
    return [level if level.lstrip("-").isdigit() else _literal(float(level)) for level in levels if level[0] != "("]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return repr(value) if isinstance(value, int | float) else _quoted(str(value))


def _literal(number: float) -> str:
    """With all its digits, as a double: a bare decimal would be a numeric in PostgreSQL, and slow."""
    return f"CAST({number!r} AS DOUBLE PRECISION)"
