"""The positions that devices have acknowledged, kept so that they resume there without a cursor."""
