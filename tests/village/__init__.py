"""Many households in one process, each with a disk of its own and stores for the others, under one clock and one seed.

season.py     so many days, from nothing on; the verdict       events.py     what befalls households, and how often
household.py  a household: its machine, its kit, its process   diary.py      what it writes, and what it was promised
outside.py    the time of day, chance, other machines          streams.py    connections in memory, and what they carry
market.py     the matching server                              budget.py     who may be lost now
quiet.py      the calm at the end                      wishes.py     what a household wants, and answers
census.py     what is looked at again and again                restores.py   what the partners alone bring back
pace.py       what a season does less often than a daemon      tally.py      what was seen, counted
scenes.py     short stories                            mutants.py    rules broken, which they notice
"""
