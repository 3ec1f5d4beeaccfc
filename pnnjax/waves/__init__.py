"""Mechanical and acoustic systems."""

from ._elastic_network import (
    ElasticNetwork as ElasticNetwork,
    spring_energy as spring_energy,
)
