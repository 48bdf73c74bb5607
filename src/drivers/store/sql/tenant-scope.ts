// The scope of a tenant: every statement that is made through it names the tenant, whatever its author wrote or left out.
import {
  AliasNode,
  BinaryOperationNode,
  ColumnNode,
  type DeleteQueryNode,
  IdentifierNode,
  type InsertQueryNode,
  JoinNode,
  type KyselyPlugin,
  type OperationNode,
  OperationNodeTransformer,
  OperatorNode,
  type PluginTransformQueryArgs,
  PrimitiveValueListNode,
  type QueryId,
  ReferenceNode,
  type RootOperationNode,
  SelectionNode,
  SelectQueryNode,
  TableNode,
  type UpdateQueryNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
  WhereNode,
} from "kysely";
import type { Tenant } from "../../../core/tenant.ts";
import type { Sql } from "./tables.ts";

const COLUMN = "tenant";
/** What is nobody's: asked without a scope only. */
const NOBODYS: ReadonlySet<string> = new Set(["tenants", "store_version"]);

/** The same database, in which there is nothing but the rows of one tenant. */
export function scoped<S extends Sql>(sql: S, tenant: Tenant): S {
  // A transaction with a plugin is a transaction.
  return sql.withPlugin(pluginOf(tenant)) as S;
}

function pluginOf(tenant: Tenant): KyselyPlugin {
  const transformer = new TenantTransformer(tenant);
  return {
    transformQuery({ node, queryId }: PluginTransformQueryArgs): RootOperationNode {
      // A statement that is written out whole cannot be looked into.
      if (!SCOPED.has(node.kind)) throw new Error(`assertion failed: a ${node.kind} within a tenant's scope`);
      return transformer.transformNode(node, queryId);
    },
    transformResult: async ({ result }) => result,
  };
}

const SCOPED: ReadonlySet<string> = new Set<RootOperationNode["kind"]>([
  "DeleteQueryNode",
  "InsertQueryNode",
  "SelectQueryNode",
  "UpdateQueryNode",
]);

class TenantTransformer extends OperationNodeTransformer {
  readonly #tenant: Tenant;
  /** A query within another one comes by twice: by itself, and as a part. */
  readonly #done = new WeakSet<OperationNode>();

  constructor(tenant: Tenant) {
    super();
    this.#tenant = tenant;
  }

  protected override transformSelectQuery(node: SelectQueryNode, queryId?: QueryId): SelectQueryNode {
    if (this.#done.has(node)) return node;
    refuseParts(node);
    const inner = super.transformSelectQuery(node, queryId);
    const joins = inner.joins?.map((join) => this.#joined(join));
    const where = this.#where(inner.where, (inner.from?.froms ?? []).flatMap(namesOf));
    return this.#mark({
      ...inner,
      ...(joins === undefined ? {} : { joins }),
      ...(where === undefined ? {} : { where }),
    });
  }

  protected override transformUpdateQuery(node: UpdateQueryNode, queryId?: QueryId): UpdateQueryNode {
    refuseParts(node);
    if (node.table === undefined || node.from !== undefined || (node.joins?.length ?? 0) > 0) throw unscopable(node);
    const inner = super.transformUpdateQuery(node, queryId);
    return { ...inner, where: this.#where(inner.where, namesOf(inner.table!)) };
  }

  protected override transformDeleteQuery(node: DeleteQueryNode, queryId?: QueryId): DeleteQueryNode {
    refuseParts(node);
    if (node.using !== undefined || (node.joins?.length ?? 0) > 0) throw unscopable(node);
    const inner = super.transformDeleteQuery(node, queryId);
    return { ...inner, where: this.#where(inner.where, inner.from.froms.flatMap(namesOf)) };
  }

  protected override transformInsertQuery(node: InsertQueryNode, queryId?: QueryId): InsertQueryNode {
    refuseParts(node);
    if (node.into === undefined || node.columns === undefined || node.values === undefined) throw unscopable(node);
    const inner = super.transformInsertQuery(node, queryId);
    namesOf(inner.into!);
    const column = ColumnNode.create(COLUMN);
    const { onConflict } = inner;
    // Keys of all tables begin with the tenant.
    const conflict =
      onConflict?.columns === undefined ? onConflict : { ...onConflict, columns: [column, ...onConflict.columns] };
    return {
      ...inner,
      columns: [...inner.columns!, column],
      values: this.#valued(inner.values!),
      ...(conflict === undefined ? {} : { onConflict: conflict }),
    };
  }

  #valued(values: OperationNode): OperationNode {
    if (SelectQueryNode.is(values)) {
      const own = AliasNode.create(ValueNode.create(this.#tenant), IdentifierNode.create(COLUMN));
      return SelectQueryNode.cloneWithSelections(values, [SelectionNode.create(own)]);
    }
    if (!ValuesNode.is(values)) throw unscopable(values);
    const rows = values.values.map((row) =>
      PrimitiveValueListNode.is(row)
        ? PrimitiveValueListNode.create([...row.values, this.#tenant])
        : ValueListNode.create([...row.values, ValueNode.create(this.#tenant)]),
    );
    return ValuesNode.create(rows);
  }

  #joined(join: JoinNode): JoinNode {
    return namesOf(join.table).reduce((joined, table) => JoinNode.cloneWithOn(joined, this.#isOurs(table)), join);
  }

  #where(where: WhereNode | undefined, tables: readonly TableNode[]): WhereNode | undefined {
    return tables.reduce<WhereNode | undefined>(
      (all, table) =>
        all === undefined
          ? WhereNode.create(this.#isOurs(table))
          : WhereNode.cloneWithOperation(all, "And", this.#isOurs(table)),
      where,
    );
  }

  #isOurs(table: TableNode): OperationNode {
    const column = ReferenceNode.create(ColumnNode.create(COLUMN), table);
    return BinaryOperationNode.create(column, OperatorNode.create("="), ValueNode.create(this.#tenant));
  }

  #mark<N extends OperationNode>(node: N): N {
    this.#done.add(node);
    return node;
  }
}

/** By which names a table stands in a statement; none where it is a query of its own, which was scoped by itself. */
function namesOf(node: OperationNode): readonly TableNode[] {
  if (AliasNode.is(node)) {
    if (!TableNode.is(node.node)) return queryOf(node.node);
    namesOf(node.node);
    if (!IdentifierNode.is(node.alias)) throw unscopable(node);
    return [TableNode.create(node.alias.name)];
  }
  if (!TableNode.is(node)) return queryOf(node);
  if (NOBODYS.has(node.table.identifier.name)) throw unscopable(node);
  return [node];
}

function queryOf(node: OperationNode): readonly TableNode[] {
  if (node.kind === "SelectQueryNode" || node.kind === "ParensNode") return [];
  throw unscopable(node);
}

/** Parts in which tables could hide. */
function refuseParts(node: OperationNode & { readonly with?: unknown; readonly setOperations?: unknown }): void {
  if (node.with !== undefined || node.setOperations !== undefined) throw unscopable(node);
}

function unscopable({ kind }: OperationNode): Error {
  return new Error(`assertion failed: a ${kind} that no tenant's scope can be put on`);
}
