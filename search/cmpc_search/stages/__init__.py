"""The stages of the main job, each a function from an order to a result, over folders.

The front doors, one for each thing that a user wants done; `cmpc_search` names them all:

gallery_making.py    where the gallery side comes from
searching.py         which query networks fit it, and what each costs
picking.py           which one it shall be
training.py          training it on its own
evaluating.py        what it is worth
evidence.py          whether anything simple does as well
bundling.py          how it gets to where it runs
profiling.py         where its time goes
schedule_tuning.py   faster kernels
indexing.py          an index of the gallery; index_changes.py changes one
querying.py          asking it; picture_embedding.py embeds alone
pipeline.py          all that make one query network, in turn; pipeline_*.py are its parts

Below them are their parts, which know folders but no orders. The command line calls the front
doors; so can any program.
"""
