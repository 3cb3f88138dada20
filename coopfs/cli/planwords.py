"""What a choice of k and m means, in sentences."""

from typing import Any

from coopfs.core.choice import Choice
from coopfs.core.reliability import percent

Json = dict[str, Any]


def chosen(told: Json, target: float) -> str:
    """Why a format has taken this k and m. told: the choice as plain values; target: per cent."""
    choice = Choice(**told)
    works = f"a restore works at a random moment with {percent(choice.unsure)} %"
    takes = f"each byte takes {choice.overhead:.2f} at partners"
    if choice.reaches(target / 100.0):
        return f"of the splits of {choice.n} partners this stores the least that reaches {target} %: {works}, {takes}"
    return (
        f"{choice.n} partners do not reach {target} %; this split comes nearest: {works}, {takes}; otherwise it has to "
        "wait until more partners are up, or to ask; `coopfs plan` tells how many partners would do"
    )
