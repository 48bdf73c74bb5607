"""Tables of SQLite files as SQLAlchemy reads them back, as one JSON document: a fresh store of this MLflow, then each file named."""

import json
import os
import sys

import sqlalchemy
from mlflow import MlflowClient


def schema(file):
    inspector = sqlalchemy.inspect(sqlalchemy.create_engine(f"sqlite:///{file}"))
    return {table: table_facts(inspector, table) for table in sorted(inspector.get_table_names())}


def table_facts(inspector, table):
    return {
        "columns": {
            column["name"]: [str(column["type"]), column["nullable"], str(column["default"])]
            for column in inspector.get_columns(table)
        },
        "key": [inspector.get_pk_constraint(table)["name"], inspector.get_pk_constraint(table)["constrained_columns"]],
        "foreign": sorted(
            [
                [key["name"] or "", key["constrained_columns"], key["referred_table"], key["referred_columns"], sorted(key["options"].items())]
                for key in inspector.get_foreign_keys(table)
            ],
            key=str,
        ),
        "unique": sorted([[found["name"] or "", found["column_names"]] for found in inspector.get_unique_constraints(table)]),
        "checks": sorted([[found["name"] or "", found["sqltext"]] for found in inspector.get_check_constraints(table)]),
        "indexes": sorted([[found["name"], found["column_names"], found["unique"]] for found in inspector.get_indexes(table)]),
    }


fresh = sys.argv[1]
if not os.path.exists(fresh):
    MlflowClient(f"sqlite:///{fresh}", f"sqlite:///{fresh}").search_experiments()
print(json.dumps([schema(file) for file in sys.argv[1:]]))
