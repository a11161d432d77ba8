import {
  AndNode,
  BinaryOperationNode,
  ColumnNode,
  type DeleteQueryNode,
  type JoinNode,
  type KyselyPlugin,
  OnNode,
  type OperationNode,
  OperationNodeTransformer,
  OperatorNode,
  type QueryId,
  ReferenceNode,
  type SelectQueryNode,
  TableNode,
  type UpdateQueryNode,
  ValueNode,
  WhereNode,
} from 'kysely'
import { SCOPED_TABLES } from './scoped-tables'

type Source = { table: string; as: TableNode }

/** The scoped table a FROM or JOIN item names, with the name it goes by; null for sub-queries and unscoped tables. */
function sourceOf(node: OperationNode): Source | null {
  if (node.kind === 'AliasNode') {
    const { node: inner, alias } = node as unknown as { node: OperationNode; alias: { kind: string; name?: string } }
    const source = sourceOf(inner)
    return source && alias.name ? { table: source.table, as: TableNode.create(alias.name) } : null
  }
  if (node.kind !== 'TableNode') return null
  const { table } = node as TableNode
  const name = table.identifier.name
  if (table.schema && table.schema.name !== 'public') return null
  return SCOPED_TABLES.has(name) ? { table: name, as: TableNode.create(name) } : null
}

class TenantIdTransformer extends OperationNodeTransformer {
  readonly #tenantId: () => string

  constructor(tenantId: () => string) {
    super()
    this.#tenantId = tenantId
  }

  #condition(source: Source): OperationNode {
    return BinaryOperationNode.create(
      ReferenceNode.create(ColumnNode.create('tenant_id'), source.as),
      OperatorNode.create('='),
      ValueNode.create(this.#tenantId()),
    )
  }

  #where(where: WhereNode | undefined, nodes: readonly OperationNode[]): WhereNode | undefined {
    let condition = where?.where
    for (const node of nodes) {
      const source = sourceOf(node)
      if (!source) continue
      const scoped = this.#condition(source)
      condition = condition ? AndNode.create(condition, scoped) : scoped
    }
    return condition ? WhereNode.create(condition) : where
  }

  protected override transformSelectQuery(node: SelectQueryNode, queryId?: QueryId): SelectQueryNode {
    const query = super.transformSelectQuery(node, queryId)
    return { ...query, where: this.#where(query.where, query.from?.froms ?? []) }
  }

  protected override transformUpdateQuery(node: UpdateQueryNode, queryId?: QueryId): UpdateQueryNode {
    const query = super.transformUpdateQuery(node, queryId)
    return { ...query, where: this.#where(query.where, query.table ? [query.table, ...(query.from?.froms ?? [])] : []) }
  }

  protected override transformDeleteQuery(node: DeleteQueryNode, queryId?: QueryId): DeleteQueryNode {
    const query = super.transformDeleteQuery(node, queryId)
    return { ...query, where: this.#where(query.where, query.from.froms) }
  }

  protected override transformJoin(node: JoinNode, queryId?: QueryId): JoinNode {
    const join = super.transformJoin(node, queryId)
    const source = sourceOf(join.table)
    if (!source || !join.on) return join
    return { ...join, on: OnNode.create(AndNode.create(join.on.on, this.#condition(source))) }
  }
}

/**
 * Adds `tenant_id = <current tenant>` to every select, update, delete and join on a table that has tenant_id.
 * Row security would do without; a distributed database needs it to route the statement to one shard.
 */
export function tenantIdPlugin(tenantId: () => string): KyselyPlugin {
  const transformer = new TenantIdTransformer(tenantId)
  return {
    transformQuery: ({ node, queryId }) => transformer.transformNode(node, queryId),
    transformResult: ({ result }) => Promise.resolve(result),
  }
}
