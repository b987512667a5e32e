"""From files to a dataset: one file per stage, in the order of the work.

    read -> normalise -> fill -> dedup -> leak -> split -> sample -> instruct -> dataset

`prepare` composes them. Importing this package loads no column library and no torch.
"""
