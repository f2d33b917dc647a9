import { type Api, ApiError, path } from './api';

/** What `cluster-cli` asks a node. */
export interface Command {
  name: string;
  args?: string[];
  trace?: boolean;
}

/** Asks a node, this one ('') or another, as `cluster-cli` does. Throws an ApiError if it says no. */
export async function run<T>(api: Api, node: string, command: Command): Promise<T> {
  const server = node ? `command@${node}` : 'command';
  const reply = await api.post<{ ok: boolean; data: T; error?: { message: string; code: string } }>(
    path('v1', 'call', server, 'run'),
    JSON.stringify(command),
  );
  if (!reply.ok) throw new ApiError(200, reply.error?.code ?? 'unknown', reply.error?.message ?? 'No reason given.');
  return reply.data;
}
