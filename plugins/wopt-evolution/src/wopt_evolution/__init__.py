"""Evolutions in time: snapshots, exact solutions, flows through populations."""
