"""What makes a query network compatible with a gallery: one method a file, chosen by name.

base.py       the promise: needs, settings, losses on a step
bank.py       what a method may ask of the gallery side
sums.py       methods side by side
catalogue.py  the methods by name; naming them costs no torch
making.py     a method by its name, with its settings, for a gallery
"""
