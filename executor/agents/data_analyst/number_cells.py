"""Cells that are numbers, however people write them."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_SYMBOL = r"(?:US\$|HK\$|NT\$|CN¥|R\$|RMB|CNY|USD|EUR|GBP|JPY|[¥$€£₩₹])"
_CURRENCIES = {"CN¥": "¥", "RMB": "¥", "CNY": "¥", "元": "¥", "USD": "$", "US$": "$", "EUR": "€", "GBP": "£"}
_SCALES = {"万": 1e4, "亿": 1e8, "K": 1e3, "k": 1e3, "M": 1e6}
_PLAIN = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_GROUPED = r"^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$"
_SURELY_GROUPED = r"^[-+]?\d{1,3}(,\d{3})*(,\d{3}\.\d+|,\d{3},\d{3})$"
_DECIMAL_COMMA = r"^[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$"
_SURELY_DECIMAL_COMMA = r"^[-+]?(\d{1,3}(\.\d{3})+,\d+|\d+,(\d{1,2}|\d{4,})|0,\d+|\d{4,},\d+)$"


@dataclass(frozen=True)
class Numbers:
    """Cells read as numbers; a cell that is none is null. ``12.5%`` is 12.5 with the unit ``%``."""

    values: pl.Series
    #: ``¥``, ``$``, ``%`` …, or nothing.
    unit: str
    #: All signs of currency found, when there is more than one.
    currencies: tuple[str, ...] = ()


def read_numbers(cells: pl.Series) -> Numbers:
    """Read text cells (stripped, null where missing) as numbers.

    Understands thousands separators, a decimal comma, signs and names of currency,
    percent, ``(1,234)`` for a negative, 万 and 亿, and full-width digits. Whether a
    comma groups thousands or marks decimals is decided for the column as a whole.
    """
    values = _finite(cells.cast(pl.Float64, strict=False))
    if values.null_count() == cells.null_count():
        return Numbers(values, "")
    text = _tidy(cells)
    currencies = _currencies(text)
    is_percent = bool(text.str.ends_with("%").any())
    text = text.str.replace(rf"^([-+]?){_SYMBOL}\s*([-+]?)", "$1$2")
    text = text.str.replace(rf"\s*(?:元|圆|{_SYMBOL}|%)$", "")
    scale = text.str.extract(r"([万亿KkM])$", 1).replace_strict(
        _SCALES, default=None, return_dtype=pl.Float64
    )
    values = _finite(_digits(text.str.replace(r"\s*[万亿KkM]$", ""))) * scale.fill_null(1.0)
    unit = "%" if is_percent else currencies[0] if len(currencies) == 1 else ""
    return Numbers(values.rename(cells.name), unit, currencies if len(currencies) > 1 else ())


def _finite(values: pl.Series) -> pl.Series:
    """Null what is not a finite number: ``inf`` in a file is no amount of anything."""
    return values.to_frame("v").select(pl.when(pl.col("v").is_finite()).then(pl.col("v"))).to_series()


def _tidy(cells: pl.Series) -> pl.Series:
    """Bring full-width characters, spaces between digits, and the ways to write a minus to one form."""
    text = cells.str.normalize("NFKC")
    text = text.str.replace_all(r"[\u2212\u2013]", "-").str.replace_all(r"[\s\u202f'’]+", "")
    text = text.str.replace(r"^\((.*\d.*)\)$", "-$1")
    return text.str.replace(r"^(\D*\d[\d.,]*)-$", "-$1")


def _currencies(text: pl.Series) -> tuple[str, ...]:
    prefix = text.str.extract(rf"^[-+]?({_SYMBOL})", 1)
    suffix = text.str.extract(rf"(元|{_SYMBOL})$", 1)
    signs = set(prefix.drop_nulls().unique()) | set(suffix.drop_nulls().unique())
    return tuple(sorted({_CURRENCIES.get(sign, sign) for sign in signs}))


def _digits(text: pl.Series) -> pl.Series:
    """Turn digits with separators into numbers; what fits no notation becomes null."""
    if not text.str.contains(",", literal=True).any():
        return text.cast(pl.Float64, strict=False)
    decimal = int(text.str.contains(_SURELY_DECIMAL_COMMA).sum())
    grouped = int(text.str.contains(_SURELY_GROUPED).sum())
    cell = pl.col("t")
    if decimal > grouped:
        fits = cell.str.contains(_DECIMAL_COMMA)
        digits = cell.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    else:
        fits = cell.str.contains(_GROUPED) | cell.str.contains(_PLAIN)
        digits = cell.str.replace_all(",", "", literal=True)
    return text.to_frame("t").select(pl.when(fits).then(digits).cast(pl.Float64, strict=False)).to_series()
